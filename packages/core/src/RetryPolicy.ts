/**
 * When to try again, as a value: a `Schedule` over {@link SessionError}.
 *
 * The same policy paces connects and requests. It decides when, how often and upon which errors; whether a request may be
 * sent again at all is not its business. A request that may have run is sent again only if it is a read, if the caller
 * says that it is idempotent, or if a server marked `trusted` says so of the tool.
 *
 * **Gotchas**
 *
 * A lost session or connection that provably ran nothing is replaced, and the request sent, once without any delay; the
 * policy starts after that.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import type { SessionError } from "./SessionError.ts"

/**
 * A schedule that receives each error and decides when to try again, or to give up with that error.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryPolicy = Schedule.Schedule<unknown, SessionError>

/**
 * Makes a policy of a number of tries, the first included, a fixed time apart, upon errors whose `isRetryable` says so:
 * refused, timed out, or failed in transport.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spaced = (options: {
  readonly tries: number
  readonly delay: Duration.Input
}): RetryPolicy =>
  Schedule.spaced(options.delay).pipe(
    Schedule.upTo({ times: options.tries - 1 }),
    Schedule.setInputType<SessionError>(),
    Schedule.while(({ input }) => input.isRetryable)
  )

/**
 * The default policy: 3 tries, 1 second apart.
 *
 * @category defaults
 * @since 0.1.0
 */
export const retryDefault: RetryPolicy = spaced({ tries: 3, delay: "1 second" })

/**
 * A policy that never tries again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: RetryPolicy = spaced({ tries: 1, delay: 0 })
