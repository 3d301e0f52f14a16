/**
 * Connects to a server through the library, uses it and closes: gives the row of `docs/servers.md`. And restarts a server under a
 * session. Both fail if anything is not as it must be.
 */
import { assert } from "@effect/vitest"
import {
  type Connection,
  type Mcp,
  RetryPolicy,
  type ServerConfig,
  type SessionError,
  Sessions,
  Transport
} from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Exit, Layer, Option } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { until } from "../fixtures/peer.ts"
import { type Foreign, type Running, type Transport as Way, versionOf } from "./servers.ts"

export const protocols = ["legacy", "auto"] as const

export const columns = [
  "server",
  "package",
  "transport",
  "protocol",
  "era",
  "revision",
  "calls itself",
  "tools",
  "remarks"
] as const

export type Row = Readonly<Record<typeof columns[number], string>>

const textOf = ({ content }: Mcp.CallToolResult): string =>
  content.map((block) => block.type === "text" ? block.text : "").join("\n")

type Failure = Effect.Error<ReturnType<typeof negotiate>>

export const getForeign = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))

/** The channel on which Node publishes each start of a process. */
const spawning = "tracing:child_process.spawn:start"

/** What the library does and receives beyond what its sessions show. */
interface Observed {
  starts: number
  kind: string
  refusal: number | undefined
}

const observe = (marker: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const observed: Observed = { starts: 0, kind: "", refusal: undefined }
        const started = (message: unknown) => {
          const { options } = message as { readonly options: { readonly envPairs: ReadonlyArray<string> } }
          if (options.envPairs.includes(marker)) observed.starts++
        }
        subscribe(spawning, started)
        return { observed, stop: () => unsubscribe(spawning, started) }
      }),
      ({ stop }) => Effect.sync(stop)
    ),
    ({ observed }) => observed
  )

/** The transports of the library, observed. */
const observing = (observed: Observed): Layer.Layer<Transport.Transports> =>
  Layer.effect(
    Transport.Transports,
    Effect.map(Transport.Transports, (transports) => {
      const note = (method: string, exit: Exit.Exit<unknown, SessionError.Reason>) => {
        const reason = Option.getOrUndefined(Exit.findErrorOption(exit))
        const isProbe = method === "ping" || method === "server/discover"
        if (isProbe && reason?._tag === "ProtocolFailed") observed.refusal = reason.code
      }
      const observedTransport = Effect.map(Transport.Transport, ({ connect }) => ({
        connect: Effect.map(connect, (connection): Connection.Connection => ({
          get kind() {
            return connection.kind
          },
          initialize: Effect.tap(connection.initialize, () =>
            Effect.sync(() => {
              observed.kind = connection.kind
            })),
          send: (request) => {
            const { settle } = request
            Object.assign(request, {
              settle: (exit: Parameters<typeof settle>[0]) => {
                note(request.method, exit)
                settle.call(request, exit)
              }
            })
            connection.send(request)
          },
          request: (options) =>
            Effect.onExit(connection.request(options), (exit) => Effect.sync(() => note(options.method, exit))),
          cancel: (request) => connection.cancel(request),
          onNotification: (listener) => connection.onNotification(listener),
          listen: (filter) => connection.listen(filter),
          setLogLevel: (level) => connection.setLogLevel(level),
          closed: connection.closed,
          onClose: (listener) => connection.onClose(listener),
          stderrTail: () => connection.stderrTail(),
          warnings: () => connection.warnings()
        }))
      }))
      return {
        transport: (definition) =>
          Layer.effect(Transport.Transport, observedTransport).pipe(Layer.provide(transports.transport(definition)))
      }
    })
  ).pipe(Layer.provide(Transports.layer))

const remarksOf = (options: {
  readonly transport: Way
  readonly warnings: ReadonlyArray<string>
  readonly observed: Observed
  readonly sessions: ReturnType<Running["sessions"]>
}): string => {
  const { observed, sessions, transport, warnings } = options
  return [
    ...(observed.starts > 1 ? ["exits on the probe"] : []),
    ...(observed.refusal === undefined ? [] : [`no ping (${observed.refusal})`]),
    ...(warnings.length > 0 ? ["warned of"] : []),
    ...(transport === "http" ? [`met over ${observed.kind}`] : []),
    ...(transport === "streamable_http" && sessions.length === 0 ? ["no session"] : []),
    ...sessions.map(([, status]) =>
      status === 200 || status === 204 ? "session given back" : `keeps its session (${status})`
    )
  ].join(", ")
}

/** Lists tools, calls one, pings and closes, and waits until neither process nor socket nor open session is left. */
const negotiate = Effect.fnUntraced(function*(options: {
  readonly foreign: Foreign
  readonly running: Running
  readonly transport: Way
  readonly config: ServerConfig.ServerConfigInput
  readonly protocol: typeof protocols[number]
}) {
  const { config, foreign, protocol, running, transport } = options
  const observed = yield* observe(running.marker)
  const processes = running.processes()
  const before = { sessions: running.sessions().length, sockets: running.sockets().opened }
  const layer = Sessions.layer({ servers: { foreign: { ...config, protocol } } }).pipe(
    Layer.provide(observing(observed))
  )
  const { info, tools } = yield* Effect.gen(function*() {
    const session = yield* getForeign
    const tools = yield* session.listTools()
    assert.include(tools.map(({ name }) => name), foreign.tool)
    assert.include(textOf(yield* session.callTool(foreign.tool, foreign.args)), foreign.answer)
    yield* session.ping
    // Only a process that was seen can be missed later.
    assert.isAbove(running.processes().length, 0)
    return { info: yield* session.connect, tools }
  }).pipe(Effect.scoped, Effect.provide(layer))
  const sessions = () => running.sessions().slice(before.sessions)
  if (config.transport !== "stdio") {
    yield* until(running.sockets, ({ open, opened }) => opened > before.sockets && open === 0)
  }
  yield* until(sessions, (left) => left.every(([, status]) => status !== undefined))
  yield* until(() => running.processes().filter((id) => !processes.includes(id)), (left) => left.length === 0)
  const row: Row = {
    server: foreign.name,
    package: `${foreign.from} ${versionOf(foreign.from)}`,
    transport,
    protocol,
    era: info.era,
    revision: info.protocolVersion,
    "calls itself": info.implementation?.name ?? "",
    tools: String(tools.length),
    remarks: remarksOf({ transport, warnings: info.warnings, observed, sessions: sessions() })
  }
  return row
}, Effect.scoped)

/** Uses a server in each of its ways, and gives their rows. */
const use = (foreign: Foreign, running: Running): Effect.Effect<ReadonlyArray<Row>, Failure> =>
  Effect.forEach(
    Object.entries(running.configs).flatMap(([transport, config]) =>
      protocols.map((protocol) => ({ transport: transport as Way, config, protocol }))
    ),
    (way) => negotiate({ foreign, running, ...way })
  )

export const layerOf = (config: ServerConfig.ServerConfigInput) =>
  Sessions.layer({ servers: { foreign: config }, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))

/** Restarts a server under a session: the next call gets through, in one new session. */
const restartUnder = ({ answer, args, restarted = [], tool }: Foreign, running: Running) => {
  const ways = restarted.flatMap((protocol) =>
    Object.values(running.configs).map((config) => ({ ...config, protocol }))
  )
  return Effect.forEach(ways, (config) =>
    Effect.gen(function*() {
      const session = yield* getForeign
      const { era } = yield* session.connect
      yield* session.listTools()
      yield* running.restart
      assert.include(textOf(yield* session.callTool(tool, args)), answer)
      // A modern connection has no session to start again.
      assert.strictEqual(yield* session.generation, era === "modern" ? 1 : 2)
      if (era === "modern" || config.transport !== "streamable_http") return
      yield* until(running.sessions, (sessions) => sessions.length > 0)
      assert.strictEqual(running.sessions().length, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(layerOf(config)),
      Effect.andThen(until(() => running.sockets().open, (open) => open === 0))
    ), { discard: true })
}

/** Starts a server, gives its rows, one for each of its transports in each protocol, and restarts it under a session. */
export const rowsOf = (foreign: Foreign): Effect.Effect<ReadonlyArray<Row>> =>
  Effect.gen(function*() {
    const running = yield* foreign.start
    const rows = yield* use(foreign, running)
    yield* restartUnder(foreign, running)
    return rows
  }).pipe(Effect.scoped, Effect.orDie)
