/**
 * How fast a server may be asked: the rate of its definition, and what it asked for itself by answering 429.
 *
 * On the limiter of Effect, so that processes which share a `RateLimiterStore` share the rate. After a 429 nothing goes to the
 * server for as long as `Retry-After` says; then the limiter learns how much it takes until the next one, and keeps to that.
 * Those who wait do so in one line, in which owners take turns; only the first of it asks the limiter, so that whoever leaves
 * has used up nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PartitionedSemaphore from "effect/PartitionedSemaphore"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import type { ServerDefinition } from "../../ServerConfig.ts"

/** The pace of one server. */
export interface Pace {
  /** Whether requests have to go through `pass`: looked at before each, so it takes no effect. */
  readonly isLimited: () => boolean
  /**
   * Waits until a request may go out, and gives what its answer is to be reported with. Fails with the time at which it might,
   * if that is later than `latest`.
   */
  readonly pass: (options: { readonly owner: string; readonly latest: number }) => Effect.Effect<number, number>
  /** Reports that the server took a request. Matters only of those that have an `epoch`. */
  readonly accepted: (epoch: number) => void
  /** Reports that the server refused a request for coming too soon. */
  readonly refused: (options: { readonly epoch: number; readonly retryAfter: Duration.Duration }) => Effect.Effect<void>
}

/** What a server asks for that refuses a request and does not say for how long. */
const pause = Duration.seconds(1)

/** The rate to learn from, where the definition has none: it bounds how long the limiter remembers what it learnt. */
const fallback = { limit: 60, window: Duration.minutes(1) }

/** Makes paces: one for each server. */
export const make: Effect.Effect<(definition: ServerDefinition) => Pace, never, Scope.Scope> = Effect.gen(function*() {
  const given = yield* Effect.serviceOption(RateLimiter.RateLimiterStore)
  const store = given._tag === "Some"
    ? given.value
    : Context.get(yield* Layer.build(RateLimiter.layerStoreMemory), RateLimiter.RateLimiterStore)
  const limiter = yield* Effect.provideService(RateLimiter.make, RateLimiter.RateLimiterStore, store)

  return ({ config: { rateLimit }, name: key }) => {
    const line = PartitionedSemaphore.makeUnsafe<string>({ permits: 1 })
    let isAdaptive = false
    /** What went out in the latest epoch, and what was taken of that. */
    let sent = { epoch: 0, issued: 0, accepted: 0 }

    const issue = (epoch: number): number => {
      if (epoch !== sent.epoch) sent = { epoch, issued: 0, accepted: 0 }
      sent.issued++
      return epoch
    }

    /** How long to wait for the rate of the definition. A store that cannot be reached limits nothing. */
    const ownDelay = rateLimit === undefined
      ? Effect.succeed(Duration.zero)
      : limiter.consume({ ...rateLimit, key, algorithm: "token-bucket", onExceeded: "fail" }).pipe(
        Effect.as(Duration.zero),
        Effect.catchTag(
          "RateLimiterError",
          ({ reason }) => Effect.succeed(reason._tag === "RateLimitExceeded" ? reason.retryAfter : Duration.zero)
        )
      )

    const adaptive = limiter.adaptiveConsume({
      key,
      tokens: 1,
      fallbackLimit: (rateLimit ?? fallback).limit,
      fallbackWindow: (rateLimit ?? fallback).window
    }).pipe(
      Effect.orElseSucceed(() => ({ delay: Duration.zero, epoch: 0, phase: "inactive" as const }))
    )

    /** Waits, or fails if that would take too long. */
    const sleep = (delay: Duration.Duration, latest: number): Effect.Effect<void, number> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const until = now + Duration.toMillis(delay)
        return until > latest ? Effect.fail(until) : Effect.sleep(delay)
      })

    const passAdaptive = (latest: number): Effect.Effect<number, number> =>
      Effect.flatMap(adaptive, ({ delay, epoch, phase }) => {
        if (phase === "inactive") isAdaptive = false
        if (Duration.isZero(delay)) return Effect.succeed(epoch)
        // What is learnt gives each its time; a pause is over for all at once.
        return Effect.andThen(sleep(delay, latest), phase === "cooldown" ? passAdaptive(latest) : Effect.succeed(epoch))
      })

    const passOwn = (latest: number): Effect.Effect<void, number> =>
      Effect.flatMap(
        ownDelay,
        (delay) => Duration.isZero(delay) ? Effect.void : Effect.andThen(sleep(delay, latest), passOwn(latest))
      )

    return {
      isLimited: () => isAdaptive || rateLimit !== undefined,
      pass: ({ latest, owner }) =>
        line.withPermit(owner)(Effect.andThen(
          passOwn(latest),
          Effect.suspend(() => isAdaptive ? Effect.map(passAdaptive(latest), issue) : Effect.succeed(0))
        )),
      accepted: (epoch) => {
        if (epoch === sent.epoch) sent.accepted++
      },
      refused: ({ epoch, retryAfter }) => {
        isAdaptive = true
        const asked = Duration.isZero(retryAfter) ? pause : retryAfter
        // The limiter takes what it is not told of for accepted. Of a burst, all but the first refusal would be that.
        const tokens = epoch === sent.epoch ? Math.max(1, sent.issued - sent.accepted) : 1
        return Effect.ignore(
          limiter.adaptiveFeedback({ key, epoch, tokens, status: 429, retryAfter: asked })
        )
      }
    }
  }
})
