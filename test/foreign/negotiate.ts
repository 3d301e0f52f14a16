/**
 * Meets a server through the library, uses it, leaves it, and tells what came of it as a row of `docs/servers.md`.
 */
import { type ServerConfig, Sessions, Transport } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
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

/** The channel of Node on which each start of a process is told. */
const spawning = "tracing:child_process.spawn:start"

/** What the library does on its way, and what it is told, beyond what sessions show. */
interface Sightings {
  starts: number
  kind: string
  refusal: number | undefined
}

const sightings = (marker: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const seen: Sightings = { starts: 0, kind: "", refusal: undefined }
      const started = (message: unknown) => {
        const { options } = message as { readonly options: { readonly envPairs: ReadonlyArray<string> } }
        if (options.envPairs.includes(marker)) seen.starts++
      }
      subscribe(spawning, started)
      return { seen, stop: () => unsubscribe(spawning, started) }
    }),
    ({ stop }) => Effect.sync(stop)
  )

/** The transports of the library, watched. */
const watched = (seen: Sightings): Layer.Layer<Transport.Transports> =>
  Layer.effect(
    Transport.Transports,
    Effect.map(Transport.Transports, (transports) => {
      const watch = Effect.map(Transport.Transport, ({ connect }) => ({
        connect: Effect.map(connect, (connection) => ({
          ...connection,
          get kind() {
            return connection.kind
          },
          initialize: Effect.tap(connection.initialize, () =>
            Effect.sync(() => {
              seen.kind = connection.kind
            })),
          request: (request: Parameters<typeof connection.request>[0]) =>
            Effect.tapErrorTag(connection.request(request), "ProtocolFailed", ({ code }) =>
              Effect.sync(() => {
                if (request.method === "ping" || request.method === "server/discover") seen.refusal = code
              }))
        }))
      }))
      return {
        transport: (definition) =>
          Layer.effect(Transport.Transport, watch).pipe(Layer.provide(transports.transport(definition)))
      }
    })
  ).pipe(Layer.provide(Transports.layer))

const remarksOf = (options: {
  readonly transport: Way
  readonly warnings: ReadonlyArray<string>
  readonly seen: Sightings
  readonly sessions: ReturnType<Running["sessions"]>
}): ReadonlyArray<string> => {
  const { seen, sessions, transport, warnings } = options
  const remarks: Array<string> = []
  if (seen.starts > 1) remarks.push("exits on the probe")
  if (seen.refusal !== undefined) remarks.push(`no ping (${seen.refusal})`)
  if (warnings.length > 0) remarks.push("warned of")
  if (transport === "http") remarks.push(`met over ${seen.kind}`)
  if (transport === "streamable_http" && sessions.length === 0) remarks.push("no session")
  for (const [, status] of sessions) {
    remarks.push(status === 200 || status === 204 ? "session given back" : `keeps its session (${status})`)
  }
  return remarks
}

/** One tool call, one ping and one list of tools on one session that is then closed, until nothing is left of it. */
export const negotiate = Effect.fnUntraced(function*(options: {
  readonly foreign: Foreign
  readonly running: Running
  readonly transport: Way
  readonly config: ServerConfig.ServerConfigInput
  readonly protocol: typeof protocols[number]
}) {
  const { config, foreign, protocol, running, transport } = options
  const { seen } = yield* sightings(running.marker)
  const processes = running.processes()
  const before = { sessions: running.sessions().length, sockets: running.sockets().opened }
  const layer = Sessions.layer({ servers: { foreign: { ...config, protocol } } }).pipe(Layer.provide(watched(seen)))
  const used = yield* Effect.gen(function*() {
    const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))
    const tools = yield* session.listTools()
    const result = yield* session.callTool(foreign.tool, foreign.args)
    yield* session.ping
    const info = yield* session.info
    return { info, tools: tools.map(({ name }) => name), result, processes: running.processes() }
  }).pipe(Effect.scoped, Effect.provide(layer))
  // A server sees that its client has gone when it gets round to looking.
  if (config.transport !== "stdio") {
    yield* until(running.sockets, ({ open, opened }) => opened > before.sockets && open === 0)
  }
  yield* until(
    () => running.sessions().slice(before.sessions),
    (left) => left.every(([, status]) => status !== undefined)
  )
  yield* until(() => running.processes().filter((id) => !processes.includes(id)), (left) => left.length === 0)
  const { implementation } = used.info
  const row: Row = {
    server: foreign.name,
    package: `${foreign.from} ${versionOf(foreign.from)}`,
    transport,
    protocol,
    era: used.info.era,
    revision: used.info.protocolVersion,
    "calls itself": implementation?.name ?? "",
    tools: String(used.tools.length),
    remarks: remarksOf({
      transport,
      warnings: used.info.warnings,
      seen,
      sessions: running.sessions().slice(before.sessions)
    }).join(", ")
  }
  return { ...used, row }
}, Effect.scoped)

/** All that a server is met in: each of its transports in each protocol. */
export const waysOf = (running: Running) =>
  Object.entries(running.configs).flatMap(([transport, config]) =>
    protocols.map((protocol) => ({ transport: transport as Way, config, protocol }))
  )
