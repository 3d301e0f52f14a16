/**
 * Connects to a server through the library, uses it and closes: gives the row of `docs/servers.md`. And restarts a server under a
 * session. Both fail if anything is not as it must be.
 */
import { assert } from "@effect/vitest"
import { type Connection, type Mcp, RetryPolicy, type ServerConfig, Sessions, Transport } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Result } from "effect"
import { subscribe } from "node:diagnostics_channel"
import { until } from "../fixtures/peer.ts"
import { type Running, start } from "./running.ts"
import { type Foreign, protocols, versionOf } from "./servers.ts"

/** The cells of the columns of `docs/servers.md`. */
export type Row = ReadonlyArray<string>

const textOf = ({ content }: Mcp.CallToolResult): string =>
  content.map((block) => block.type === "text" ? block.text : "").join("\n")

export const getForeign = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))

/** The environments of all processes that this one has started. */
const started: Array<ReadonlyArray<string>> = []
subscribe("tracing:child_process.spawn:start", (message) => {
  const { options } = message as { readonly options: { readonly envPairs: ReadonlyArray<string> } }
  started.push(options.envPairs)
})

/** The transports of the library, whose connections are added to a list. */
const observing = (connections: Array<Connection.Connection>): Layer.Layer<Transport.Transports> =>
  Layer.effect(
    Transport.Transports,
    Effect.map(Transport.Transports, (transports) => ({
      transport: (definition) =>
        Layer.effect(
          Transport.Transport,
          Effect.map(Transport.Transport, ({ connect }) => ({
            connect: Effect.tap(connect, (connection) => Effect.sync(() => connections.push(connection)))
          }))
        ).pipe(Layer.provide(transports.transport(definition)))
    }))
  ).pipe(Layer.provide(Transports.layer))

/** Lists tools, calls one, pings and closes, and waits until neither process nor socket nor open session is left. */
const negotiate = Effect.fnUntraced(function*({ config, foreign, protocol, running, transport }: {
  readonly foreign: Foreign
  readonly running: Running
  readonly transport: string
  readonly config: ServerConfig.ServerConfigInput
  readonly protocol: typeof protocols[number]
}) {
  const [tool, args, answer] = foreign.call
  const connections: Array<Connection.Connection> = []
  const countStarts = () => started.filter((environment) => environment.includes(running.marker)).length
  const before = {
    processes: running.processes(),
    sessions: running.sessions().length,
    sockets: running.sockets().opened,
    starts: countStarts()
  }
  const layer = Sessions.layer({ servers: { foreign: { ...config, protocol } } }).pipe(
    Layer.provide(observing(connections))
  )
  const { info, kind, refusals, tools } = yield* Effect.gen(function*() {
    const session = yield* getForeign
    const tools = yield* session.listTools()
    assert.include(tools.map(({ name }) => name), tool)
    assert.include(textOf(yield* session.callTool(tool, args)), answer)
    yield* session.ping
    // Only a process that was seen can be missed later.
    assert.isAbove(running.processes().length, 0)
    const info = yield* session.connect
    const [connection] = connections
    assert.isDefined(connection)
    const method = info.era === "modern" ? "server/discover" : "ping"
    const pinged = yield* Effect.result(connection.request({ method, params: undefined }))
    const refusals = Result.isFailure(pinged) && pinged.failure._tag === "ProtocolFailed" ? [pinged.failure.code] : []
    return { info, tools, refusals, kind: connection.kind }
  }).pipe(Effect.scoped, Effect.provide(layer))
  const sessions = () => running.sessions().slice(before.sessions)
  if (config.transport !== "stdio") {
    yield* until(running.sockets, ({ open, opened }) => opened > before.sockets && open === 0)
  }
  yield* until(sessions, (left) => left.every(([, status]) => status !== undefined))
  yield* until(
    () => running.processes().filter((id) => !before.processes.includes(id)),
    (left) => left.length === 0
  )
  const remarks = [
    ...(countStarts() - before.starts > 1 ? ["exits on the probe"] : []),
    ...refusals.map((code) => `no ping (${code})`),
    ...(info.warnings.length > 0 ? ["warned of"] : []),
    ...(transport === "http" ? [`met over ${kind}`] : []),
    ...(transport === "streamable_http" && sessions().length === 0 ? ["no session"] : []),
    ...sessions().map(([, status]) =>
      status === "200" || status === "204" ? "session given back" : `keeps its session (${status})`
    )
  ]
  return [
    foreign.name,
    `${foreign.from} ${versionOf(foreign.from)}`,
    transport,
    protocol,
    info.era,
    info.protocolVersion,
    info.implementation?.name ?? "",
    String(tools.length),
    remarks.join(", ")
  ]
}, Effect.scoped)

export const layerOf = (config: ServerConfig.ServerConfigInput) =>
  Sessions.layer({ servers: { foreign: config }, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))

/** Restarts a server under a session: the next call gets through, in one new session. */
const restartUnder = (
  { call: [tool, args, answer] }: Foreign,
  running: Running,
  config: ServerConfig.ServerConfigInput
) =>
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
  )

/** Starts a server, gives its rows, one for each of its transports in each protocol, and restarts it under a session. */
export const rowsOf = (foreign: Foreign): Effect.Effect<ReadonlyArray<Row>> =>
  Effect.gen(function*() {
    const running = yield* start(foreign)
    const ways = Object.entries(running.configs)
    const rows: Array<Row> = []
    for (const [transport, config] of ways) {
      for (const protocol of protocols) rows.push(yield* negotiate({ foreign, running, transport, config, protocol }))
    }
    for (const protocol of foreign.restarted ?? []) {
      for (const [, config] of ways) yield* restartUnder(foreign, running, { ...config, protocol })
    }
    return rows
  }).pipe(Effect.scoped, Effect.orDie)
