/**
 * Reports about closed connections.
 *
 * Connections close independently and within {@link closeTimeout}: a close that hangs or fails does not delay the others.
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
  readonly server: string
  /** The number of the connection; 0 if connecting failed. */
  readonly generation: number
  readonly outcome: "closed" | "failed" | "timed-out"
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
