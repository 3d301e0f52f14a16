/**
 * Rate limit of one server: the rate of its definition, and the rate that its 429 responses ask for.
 *
 * Built on the rate limiter of Effect, so that processes which share a `RateLimiterStore` share the rate. After a 429 nothing is sent to
 * the server for as long as `Retry-After` says; then the limiter learns the rate that the server accepts until the next 429, and keeps to
 * it. Requests wait in one queue in which owners take turns. Only the head of the queue asks the limiter, so a caller that leaves has
 * used no token.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PartitionedSemaphore from "effect/PartitionedSemaphore"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import type { ServerDefinition } from "../../ServerConfig.ts"
import * as monotonic from "../monotonic.ts"
import { sharedRates } from "./sharedRates.ts"

/** The pause after a 429 without `Retry-After`. */
const pauseDefault = Duration.seconds(1)

/** The rate to learn from where the definition has no rate. It bounds how long the limiter remembers what it learned. */
const learningRate = { limit: 60, window: Duration.minutes(1) }

/** A time before `latest` at which a request may be sent, or the failure with the time at which it could be. */
type Wait<A> = Effect.Effect<A, number>

export class RateLimit {
  readonly #limiter: RateLimiter.RateLimiter
  readonly #key: string
  readonly #rate: ServerDefinition["config"]["rateLimit"]
  readonly #queue = PartitionedSemaphore.makeUnsafe<string>({ permits: 1 })
  #isAdaptive = false
  /** The requests that were sent in the latest epoch of the limiter, and those that the server accepted. */
  #sent = { epoch: 0, issued: 0, accepted: 0 }

  constructor(limiter: RateLimiter.RateLimiter, { config, name }: ServerDefinition) {
    this.#limiter = limiter
    this.#key = name
    this.#rate = config.rateLimit
  }

  /** Whether requests have to `pass`. Read before each request, so it is no effect. */
  get isActive(): boolean {
    return this.#isAdaptive || this.#rate !== undefined
  }

  /**
   * Waits until a request may be sent. Succeeds with the epoch to report the response with; fails with the time at which the request could
   * be sent, if that is after `latest`. Times are monotonic.
   */
  pass({ latest, owner }: { readonly owner: string; readonly latest: number }): Wait<number> {
    const adaptive = Effect.suspend(() =>
      this.#isAdaptive ? Effect.map(this.#passAdaptive(latest), (epoch) => this.#issue(epoch)) : Effect.succeed(0)
    )
    return this.#queue.withPermit(owner)(Effect.andThen(this.#passOwn(latest), adaptive))
  }

  /** Records that the server accepted a request. */
  accepted(epoch: number): void {
    if (epoch !== 0 && epoch === this.#sent.epoch) this.#sent.accepted++
  }

  /** Records that the server refused a request with 429. */
  refused({ epoch, retryAfter }: {
    readonly epoch: number
    readonly retryAfter: Duration.Duration
  }): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isAdaptive = true
      const { accepted, issued } = this.#sent
      return Effect.ignore(this.#limiter.adaptiveFeedback({
        key: this.#key,
        epoch,
        // The limiter counts requests without feedback as accepted. Of a burst, that would be all but the first refusal.
        tokens: epoch === this.#sent.epoch ? Math.max(1, issued - accepted) : 1,
        status: 429,
        retryAfter: Duration.isZero(retryAfter) ? pauseDefault : retryAfter
      }))
    })
  }

  #issue(epoch: number): number {
    if (epoch !== this.#sent.epoch) this.#sent = { epoch, issued: 0, accepted: 0 }
    this.#sent.issued++
    return epoch
  }

  #passOwn(latest: number): Wait<void> {
    if (this.#rate === undefined) return Effect.void
    const delay = this.#limiter.consume({
      ...this.#rate,
      key: this.#key,
      algorithm: "token-bucket",
      onExceeded: "fail"
    }).pipe(
      Effect.as(Duration.zero),
      Effect.catchTag(
        "RateLimiterError",
        ({ reason }) => Effect.succeed(reason._tag === "RateLimitExceeded" ? reason.retryAfter : Duration.zero)
      )
    )
    return Effect.flatMap(
      delay,
      (delay) => Duration.isZero(delay) ? Effect.void : Effect.andThen(sleep(delay, latest), this.#passOwn(latest))
    )
  }

  #passAdaptive(latest: number): Wait<number> {
    const { limit, window } = this.#rate ?? learningRate
    const consumed = this.#limiter.adaptiveConsume({
      key: this.#key,
      tokens: 1,
      fallbackLimit: limit,
      fallbackWindow: window
    }).pipe(
      Effect.orElseSucceed(() => ({ delay: Duration.zero, epoch: 0, phase: "inactive" as const }))
    )
    return Effect.flatMap(consumed, ({ delay, epoch, phase }) => {
      if (phase === "inactive") this.#isAdaptive = false
      if (Duration.isZero(delay)) return Effect.succeed(epoch)
      // A learned rate gives each request its own time. A pause ends for all at once, so each asks again.
      const next = phase === "cooldown" ? this.#passAdaptive(latest) : Effect.succeed(epoch)
      return Effect.andThen(sleep(delay, latest), next)
    })
  }
}

const sleep = (delay: Duration.Duration, latest: number): Wait<void> =>
  Effect.flatMap(monotonic.now, (now) => {
    const until = now + Duration.toMillis(delay)
    return until > latest ? Effect.fail(until) : Effect.sleep(delay)
  })

/**
 * A store in memory measures by the monotonic time. One that processes share has a clock of its own. Fresh: the store of the context may be made
 * by the same layer.
 */
const inMemory = Effect.map(Layer.build(Layer.fresh(RateLimiter.layerStoreMemory)), (context) => {
  const store = Context.get(context, RateLimiter.RateLimiterStore)
  return RateLimiter.RateLimiterStore.of({
    fixedWindow: (options) => monotonic.withMonotonicClock(store.fixedWindow(options)),
    tokenBucket: (options) => monotonic.withMonotonicClock(store.tokenBucket(options)),
    adaptiveConsume: (options) => monotonic.withMonotonicClock(store.adaptiveConsume(options)),
    adaptiveFeedback: (options) => monotonic.withMonotonicClock(store.adaptiveFeedback(options))
  })
})

/** Makes the constructor of rate limits, on the `RateLimiterStore` of the context or on one in memory. */
export const make: Effect.Effect<(definition: ServerDefinition) => RateLimit, never, Scope.Scope> = Effect.gen(
  function*() {
    const provided = yield* Effect.serviceOption(RateLimiter.RateLimiterStore)
    const local = yield* inMemory
    const store = provided._tag === "Some" ? sharedRates(provided.value, local, yield* Effect.scope) : local
    const limiter = yield* Effect.provideService(RateLimiter.make, RateLimiter.RateLimiterStore, store)
    return (definition) => new RateLimit(limiter, definition)
  }
)
