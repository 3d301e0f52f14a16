/**
 * What becomes of a connection when it is closed, for those who want to know.
 *
 * Closing is bounded and each connection closes by itself: one that hangs or fails keeps no other from being closed, and nobody
 * waits for it longer than {@link closeTimeout}.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"

/**
 * How one connection was closed. Where `outcome` is `timed-out`, something of it may be left; `cause` is what failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface CleanupReport {
  readonly server: string
  /** The number of the connection; 0 for one that did not come to be. */
  readonly generation: number
  readonly outcome: "closed" | "failed" | "timed-out"
  readonly cause: Cause.Cause<never> | undefined
  /** How long it took, in milliseconds. */
  readonly millis: number
}

/**
 * The longest that closing a connection is waited for. Value: 5 seconds: a process that has to be killed takes 3 of them, an HTTP
 * session that cannot be given back 2.
 *
 * @category defaults
 * @since 0.1.0
 */
export const closeTimeout: Duration.Duration = Duration.seconds(5)
