/**
 * State of the connection to one server, and the limit on how often a server is started.
 *
 * **Details**
 *
 * A connection is made on first use. A lost connection is made again on the next use, or after a short random delay for
 * subscribers and for servers opened with `openAll`. Each connection has the
 * next `generation`. A server that was connected {@link maxStarts} times within {@link startWindow} is down until the first of these starts
 * is that old; a server whose circuit is open is down until the circuit admits a probe. While a server is down, calls fail with
 * `ServerDown` and do not wait.
 *
 * ```text
 * Idle ──use──▶ Connecting ──connected──▶ Ready ◀──response── Suspect
 *   ▲ ▲             │   ▲                   │ └──timeout──▶      │
 *   │ └──gave up── Backoff                  │                    │
 *   │               ├──starts, circuit──▶ Down ──retryAt──▶ Connecting
 *   └───────────────┴────────── lost ◀──────┴────────────────────┘
 * any ──closing──▶ Draining ──closed──▶ Closed
 * ```
 *
 * **Example** (Reading the state before and after a restart)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   const session = yield* sessions.get("everything")
 *   const first = yield* session.state
 *   yield* sessions.restart("everything")
 *   yield* session.ping
 *   return [first, yield* session.state]
 * }).pipe(Effect.scoped)
 *
 * const [first, second] = await Effect.runPromise(Effect.provide(program, live))
 * first // => { _tag: "Ready", generation: 1 }
 * second // => { _tag: "Ready", generation: 2 }
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { SessionError } from "./SessionError.ts"

/**
 * The state of a connection. Times are in milliseconds since the epoch.
 *
 * - `Idle`: there is no connection, and no caller waits for one.
 * - `Connecting`: the `attempt`th attempt since the last connection, counted from 1, is in progress.
 * - `Ready`: connected.
 * - `Suspect`: connected, but a request timed out. A ping decides whether the connection is lost.
 * - `Backoff`: the latest attempt failed with `error`; the retry policy decides when the next one starts.
 * - `Down`: no attempt before `retryAt`.
 * - `Draining`: the connection is being closed for good.
 * - `Closed`: the connection is closed for good.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionState =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Ready"; readonly generation: number }
  | { readonly _tag: "Suspect"; readonly generation: number }
  | { readonly _tag: "Backoff"; readonly attempt: number; readonly error: SessionError }
  | { readonly _tag: "Down"; readonly retryAt: number; readonly error: SessionError | undefined }
  | { readonly _tag: "Draining" }
  | { readonly _tag: "Closed" }

/**
 * The number of connections that may be made within {@link startWindow}. Value: 5. If a server keeps crashing,
 * another start does not help.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxStarts = 5

/**
 * The window over which starts are counted. Value: 1 minute.
 *
 * @category defaults
 * @since 0.1.0
 */
export const startWindow: Duration.Duration = Duration.minutes(1)
