/**
 * Reports about closed connections.
 *
 * Connections close independently and within {@link closeTimeout}: a close that hangs or fails does not delay the others.
 *
 * **Example** (Counting connections that closed)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const closed = []
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } },
 *   onCleanup: ({ generation, outcome, server }) => Effect.sync(() => closed.push([server, generation, outcome]))
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("everything", "echo", { message: "hi" }))
 * await Effect.runPromise(Effect.provide(program, live))
 * closed // => [["everything", 1, "closed"]]
 * ```
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"

/**
 * Report about one closed connection. After `timed-out`, a process or socket may still exist. `cause` is the cause of a failed close.
 *
 * @category models
 * @since 0.1.0
 */
export interface CleanupReport {
  /** The name of the server. */
  readonly server: string
  /** The number of the connection; 0 if connecting failed. */
  readonly generation: number
  /** How the close ended. After `timed-out`, a process or a socket may still exist. */
  readonly outcome: "closed" | "failed" | "timed-out"
  /** Why a close failed; `undefined` for the other outcomes. */
  readonly cause: Cause.Cause<never> | undefined
  /** How long the close took, in milliseconds. */
  readonly millis: number
}

/**
 * Time limit for closing a connection. Value: 5 seconds. Killing a process takes up to 3 seconds, deleting an HTTP session up to 2.
 *
 * @category defaults
 * @since 0.1.0
 */
export const closeTimeout: Duration.Duration = Duration.seconds(5)
