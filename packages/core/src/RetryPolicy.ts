/**
 * Retry policy: a `Schedule` over {@link SessionError}.
 *
 * A policy decides when, how often and after which errors connects and requests are retried. It does not decide whether a request may be sent
 * again: the delivery rule does. A request that may have run is sent again only if it is a read, if the caller says that it is idempotent, or
 * if a server marked `trusted` says so of the tool.
 *
 * **Gotchas**
 *
 * When a connection is lost before the request ran, the request is sent once on a new connection, without delay. The policy starts after
 * that.
 *
 * **Example** (Backing off exponentially)
 *
 * ```ts import.meta.vitest
 * import { RetryPolicy, Sessions } from "@mcp-sessions/core"
 * import { Faulty, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Schedule } from "effect"
 *
 * const retry = Schedule.exponential("10 millis").pipe(
 *   Schedule.upTo({ times: 4 }),
 *   Schedule.while(({ input }) => input.isRetryable),
 *   RetryPolicy.withRetryAfter
 * )
 * // The first two connects are refused.
 * const transports = Faulty.layer({
 *   transports: Transports.layer,
 *   faults: [{ at: "connect", nth: [1, 2], what: Faulty.fail(Faulty.refused) }]
 * })
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } },
 *   retry
 * }).pipe(Layer.provide(transports))
 *
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("everything", "echo", { message: "hi" }))
 * const { content } = await Effect.runPromise(Effect.provide(program, live))
 * content // => [{ type: "text", text: "Echo: hi" }]
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as monotonic from "./internal/monotonic.ts"
import * as RetryAfter from "./internal/retryAfter.ts"
import type { SessionError } from "./SessionError.ts"

/**
 * A schedule that receives each error, and decides when to retry or to fail with that error.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryPolicy = Schedule.Schedule<unknown, SessionError>

/**
 * The longest `Retry-After` that is honored. Value: 1 minute, which is within the default `totalTimeout` of an operation. Longer ones
 * are cut to it.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxRetryAfter: Duration.Duration = RetryAfter.maxRetryAfter

/**
 * Reads a `Retry-After` header: a number of seconds, or a date of HTTP. Returns how long to wait at the time of day `now`, in milliseconds
 * since 1970: from zero to {@link maxRetryAfter}. Other text and past dates give zero.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 * @category getters
 * @since 0.1.0
 */
export const parseRetryAfter: (options: { readonly text: string; readonly now: number }) => Duration.Duration =
  RetryAfter.parseRetryAfter

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
    ({ duration, input }) =>
      Effect.map(monotonic.wallTime, (now) => Duration.max(duration, RetryAfter.retryAfterOf({ error: input, now })))
  )

/**
 * Makes a policy of a number of retries after the first attempt, a fixed time apart, for errors whose `isRetryable` is true: refused, timed
 * out, or failed in transport. `Retry-After` of the server can lengthen a delay.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spaced = (options: {
  readonly retries: number
  readonly delay: Duration.Input
}): RetryPolicy =>
  Schedule.spaced(options.delay).pipe(
    Schedule.upTo({ times: options.retries }),
    Schedule.setInputType<SessionError>(),
    Schedule.while(({ input }) => input.isRetryable),
    withRetryAfter
  )

/**
 * The default policy: 3 retries after the first attempt, 1 second apart.
 *
 * @category defaults
 * @since 0.1.0
 */
export const retryDefault: RetryPolicy = spaced({ retries: 3, delay: "1 second" })

/**
 * The default policy of reconnects without a caller: 1 second after the first failure, then 1.6 times as long each time, up to 2 minutes, each
 * with full jitter (a random share of the pause), so that the clients of one server do not reconnect at once. Never gives up. Starts over
 * after each connection.
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
 * A policy that never retries.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: RetryPolicy = spaced({ retries: 0, delay: 0 })
