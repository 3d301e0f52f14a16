/**
 * Ports through which core reaches servers: one {@link Transport} opens connections to one server, and {@link Transports}
 * makes the right one for a definition.
 *
 * Recordings, scripted faults and tests provide other layers of these two services.
 *
 * **Example** (Counting the connects of all transports)
 *
 * ```ts import.meta.vitest
 * import { Sessions, Transport } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * let connects = 0
 * const counted = Layer.effect(
 *   Transport.Transports,
 *   Effect.map(Transport.Transports, (inner) => ({
 *     transport: (definition) =>
 *       Layer.effect(
 *         Transport.Transport,
 *         Effect.map(Transport.Transport, (transport) => ({
 *           ...transport,
 *           connect: Effect.andThen(Effect.sync(() => connects++), transport.connect)
 *         }))
 *       ).pipe(Layer.provide(inner.transport(definition)))
 *   }))
 * ).pipe(Layer.provide(Transports.layer))
 *
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(counted))
 * const program = Effect.gen(function*() {
 *   const { callTool } = yield* Sessions.Sessions
 *   yield* callTool("everything", "echo", { message: "one" })
 *   yield* callTool("everything", "echo", { message: "two" })
 * })
 * await Effect.runPromise(Effect.provide(program, live))
 * connects // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Handlers, Peer as PeerIdentity } from "./ClientHandlers.ts"
import type { ConfigError } from "./ConfigError.ts"
import type { Connection } from "./Connection.ts"
import type { ServerDefinition } from "./ServerConfig.ts"
import type { ConnectReason } from "./SessionError.ts"

/**
 * Reference to the session that a connection is made for: its owner, its server, and the handlers that answer the requests of the
 * server. Core provides it to `connect`. Default: the owner `default`, without handlers.
 *
 * @category references
 * @since 0.1.0
 */
export const Peer: Context.Reference<PeerIdentity & { readonly handlers: Handlers }> = Context.Reference<
  PeerIdentity & { readonly handlers: Handlers }
>(
  "@mcp-sessions/core/Transport/Peer",
  { defaultValue: () => ({ owner: "default", server: "", handlers: {} }) }
)

/**
 * Reference to the limit on process starts. A transport that starts a process runs it just before, once it knows that the command exists: it
 * waits for a place, and succeeds with the function that leaves the place. The transport calls that when the process has written its first
 * byte, has ended, or could not be started. Core provides it to `connect`. Default: no limit.
 *
 * @category references
 * @since 0.1.0
 */
export const ProcessStart: Context.Reference<Effect.Effect<() => void>> = Context.Reference<Effect.Effect<() => void>>(
  "@mcp-sessions/core/Transport/ProcessStart",
  { defaultValue: () => Effect.succeed(() => {}) }
)

/**
 * Service that opens connections of one kind to one server.
 *
 * `connect` makes exactly one attempt, without handshake and without retry. Closing its scope releases the process, the sockets, the
 * timers and the session on the server. Resources that outlive single connections belong to the layer.
 *
 * `forget` drops what earlier connections have taught the transport of its server, such as its era: the next connect finds out anew.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, {
  /**
   * Makes one attempt to connect, without handshake and without retry. Closing the scope releases the process, the
   * sockets, the timers and the session on the server.
   */
  readonly connect: Effect.Effect<Connection, ConnectReason, Scope.Scope>
  /** Drops what earlier connections have taught the transport of its server, such as its era. */
  readonly forget?: (() => void) | undefined
}>()("@mcp-sessions/core/Transport") {}

/**
 * Service that maps any server definition to the layer of its transport.
 *
 * The layer fails with `UnsupportedTransport` for an unknown kind of transport.
 *
 * @category services
 * @since 0.1.0
 */
export class Transports extends Context.Service<Transports, {
  /** Returns the layer of the transport of a definition. */
  readonly transport: (definition: ServerDefinition) => Layer.Layer<Transport, ConfigError>
}>()("@mcp-sessions/core/Transport/Transports") {}
