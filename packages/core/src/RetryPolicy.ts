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
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
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
 * The longest time that a server's `Retry-After` is waited for. Value: 1 minute, within the default `totalTimeout` of an
 * operation. A server that asks for more is asked again after this time.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxRetryAfter: Duration.Duration = Duration.minutes(1)

/** The date of HTTP. What parses dates takes much else for one, `-7` among it. */
const httpDate = /^[A-Z][a-z]+, .+ GMT$/

/**
 * How long a server asks to be left alone at `now`: it may say so in seconds, or name a date.
 *
 * @internal
 */
export const retryAfterOf = (options: { readonly error: SessionError; readonly now: number }): Duration.Duration => {
  const { error: { reason }, now } = options
  const text = reason._tag === "HttpFailed" ? reason.retryAfter?.trim() : undefined
  if (text === undefined) return Duration.zero
  const millis = /^\d+$/.test(text)
    ? Number(text) * 1000
    : Option.match(httpDate.test(text) ? DateTime.make(text) : Option.none(), {
      onNone: () => 0,
      onSome: (date) => DateTime.toEpochMillis(date) - now
    })
  return Duration.millis(Math.min(Math.max(0, millis), Duration.toMillis(maxRetryAfter)))
}

/**
 * Makes a policy wait at least as long as the server asks for with `Retry-After`, up to {@link maxRetryAfter}.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 * @category combinators
 * @since 0.1.0
 */
export const withRetryAfter = (policy: RetryPolicy): RetryPolicy =>
  Schedule.modifyDelay(
    policy,
    ({ duration, input, now }) => Effect.succeed(Duration.max(duration, retryAfterOf({ error: input, now })))
  )

/**
 * Makes a policy of a number of tries, the first included, a fixed time apart, upon errors whose `isRetryable` says so:
 * refused, timed out, or failed in transport. A server that asks for more time with `Retry-After` gets it.
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
    Schedule.while(({ input }) => input.isRetryable),
    withRetryAfter
  )

/**
 * The default policy: 3 tries, 1 second apart.
 *
 * @category defaults
 * @since 0.1.0
 */
export const retryDefault: RetryPolicy = spaced({ tries: 3, delay: "1 second" })

/**
 * The default policy for connections that are to be there: 1 second after the first failure, then 1.6 times as long each time, up
 * to 2 minutes; each pause by chance anything down to none, so that clients of one server do not come all at once. It never gives
 * up. It begins anew with each connection that was made.
 *
 * @category defaults
 * @since 0.1.0
 */
export const reconnectDefault: RetryPolicy = Schedule.min([
  Schedule.exponential("1 second", 1.6),
  Schedule.spaced("2 minutes")
]).pipe(
  Schedule.setInputType<SessionError>(),
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.nextBetween(0, 1), (share) => Duration.times(duration, share))
  ),
  withRetryAfter
)

/**
 * A policy that never tries again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: RetryPolicy = spaced({ tries: 1, delay: 0 })
