/**
 * Shared rates: the rates of principals that several gateways hold together, through a `RateLimiterStore`.
 *
 * No request waits for the store. Each gateway admits requests by local buckets, which are estimates. Every 100 ms it reports the tokens that were
 * taken, and the response of the store corrects the estimate. So the gateways together admit more than the rate by at most what
 * each of them admits between two reports; the store remembers that as a debt, and the rate holds on average.
 *
 * A store that fails or is slow limits nothing: each gateway goes by its estimates until the store answers again. What was taken meanwhile is
 * not reported later, because the bucket in the store has been filling, too.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Crypto from "node:crypto"
import { textOrEmpty } from "../../textOrEmpty.ts"
import { capacityOf, type TokenBucket } from "./tokenBucket.ts"

/** The pause between two reports. */
const reportInterval = "100 millis"

/** The pause after a report that failed. */
const retryInterval = "1 second"

/** How long the store may take. */
const storeTimeout = "500 millis"

/** How many principals are reported at a time. */
const reportConcurrency = 16

export interface SharedRatesOptions {
  readonly store: RateLimiter.RateLimiterStore["Service"]
  /** The rate of each principal. */
  readonly requestsPerSecond: number
  /** What gateways have in common that share rates. */
  readonly realm: string
  /** Gives monotonic time in milliseconds. */
  readonly now: () => number
  /** Runs an effect in the background. */
  readonly fork: (effect: Effect.Effect<void>) => void
}

const storeError = (message: string) =>
  new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message }) })

const slow = Effect.suspend(() => Effect.fail(storeError(`no answer within ${storeTimeout}`)))

/** What went wrong with the store, in one line. */
const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : textOrEmpty(error)
}

export class SharedRates {
  readonly #options: SharedRatesOptions
  readonly #refillRate: Duration.Duration
  /** The buckets with tokens to report, by principal. */
  #due = new Map<string, TokenBucket>()
  #isReporting = false
  #isAway = false

  constructor(options: SharedRatesOptions) {
    this.#options = options
    // A duration is a whole number of nanoseconds.
    this.#refillRate = Duration.max(
      Duration.divideUnsafe(Duration.seconds(1), options.requestsPerSecond),
      Duration.nanos(1n)
    )
  }

  /** Has a token reported that was taken of a bucket. It is called for each request, so it is no effect. */
  taken(principal: string, bucket: TokenBucket): void {
    if (bucket.unreported++ > 0) return
    this.#due.set(principal, bucket)
    if (this.#isReporting) return
    this.#isReporting = true
    this.#options.fork(this.#reports)
  }

  /** Reports until nothing was taken for as long as a pause, so an idle gateway has no timer. */
  get #reports(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      while (this.#due.size > 0) {
        yield* this.#reportAll
        yield* Effect.sleep(this.#isAway ? retryInterval : reportInterval)
      }
      this.#isReporting = false
    })
  }

  get #reportAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const due = this.#due
      this.#due = new Map()
      return Effect.forEach(due, ([principal, bucket]) => this.#report(principal, bucket), {
        concurrency: reportConcurrency,
        discard: true
      }).pipe(
        Effect.andThen(Effect.suspend(() => this.#isBack)),
        // Whatever the store does, requests are admitted.
        Effect.catchCause((cause) => {
          for (const bucket of due.values()) bucket.unreported = 0
          return this.#isLost(cause)
        })
      )
    })
  }

  #report(principal: string, bucket: TokenBucket): Effect.Effect<void, RateLimiter.RateLimiterError> {
    return Effect.suspend(() => {
      const { now, requestsPerSecond, store } = this.#options
      const tokens = bucket.unreported
      bucket.unreported = 0
      const reported = store.tokenBucket({
        key: this.#keyOf(principal),
        tokens,
        limit: capacityOf(requestsPerSecond),
        refillRate: this.#refillRate,
        allowOverflow: true
      })
      return Effect.flatMap(
        Effect.timeoutOrElse(reported, { duration: storeTimeout, orElse: () => slow }),
        ([remaining, elapsed]) => {
          // The store counts whole tokens. The rest of one is in the time since the last.
          const left = remaining + elapsed / Duration.toMillis(this.#refillRate)
          if (!Number.isFinite(left)) return Effect.fail(storeError("the answer is not a number"))
          bucket.correct(left, now())
          return Effect.void
        }
      )
    })
  }

  /** The key of a principal: the store learns no names. */
  #keyOf(principal: string): string {
    return `client:${Crypto.hash("sha256", JSON.stringify([this.#options.realm, principal]), "base64url")}`
  }

  #isLost(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    if (this.#isAway) return Effect.void
    this.#isAway = true
    return Effect.logWarning(
      `the rates of clients hold for this process alone, because their store cannot be used: ${reasonOf(cause)}`
    )
  }

  get #isBack(): Effect.Effect<void> {
    if (!this.#isAway) return Effect.void
    this.#isAway = false
    return Effect.logInfo("the rates of clients are shared again")
  }
}
