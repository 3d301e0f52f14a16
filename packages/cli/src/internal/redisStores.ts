/**
 * Stores in Redis of the rates and circuits that several processes share.
 *
 * A process starts and serves without Redis. While there is no connection, the stores fail at once, and each process limits
 * for itself. A connection that ends, or on which Redis does not respond, is replaced.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import { RedisError } from "effect/persistence/Redis"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { boundedLayer } from "./boundedLayer.ts"

/** How long a connect may take, in milliseconds, and a connection may say nothing. */
const timeouts = { connectTimeout: 2000, socketTimeout: 10_000 }

/** How often Redis is asked whether it responds, and how long that may take. */
const ping = { interval: "1 second", timeout: "2 seconds" } as const

/** The pause before the next connect. */
const reconnect = Schedule.spaced("1 second").pipe(Schedule.jittered)

/** How long the start waits for the first connection. */
const startTimeout = "2 seconds"

/** How long the end may take. */
const endTimeout = "2 seconds"

interface Stores {
  readonly rates: RateLimiter.RateLimiterStore["Service"]
  readonly circuits: CircuitBreaker.CircuitBreakerStore["Service"]
}

/** The stores of one connection. */
const storesOf = Layer.merge(
  RateLimiter.layerStoreRedis({ prefix: "mcp-sessions:rate:" }),
  CircuitBreaker.layerStoreRedis({ prefix: "mcp-sessions:circuit:" })
)

/** Names the problem of a connection by its code. It never quotes an error, which may have more than the user should see. */
const problemOf = ({ cause }: RedisError): string => {
  if (Predicate.hasProperty(cause, "code") && /^\w{1,40}$/.test(String(cause.code))) return String(cause.code)
  // An error response of Redis begins with its code.
  const [code] = cause instanceof Error ? /^[A-Z]{3,20}(?= )/.exec(cause.message) ?? [] : []
  return code ?? "no response"
}

/** Opens a connection and hands out its stores until it ends. */
const connect = Effect.fnUntraced(function*(
  url: Redacted.Redacted,
  onStores: (stores: Stores | undefined) => Effect.Effect<void>
): Effect.fn.Return<never, RedisError, Scope.Scope> {
  const context = yield* Layer.build(storesOf.pipe(
    Layer.provideMerge(NodeRedis.layer({
      url: Redacted.value(url),
      disableOfflineQueue: true,
      socket: { ...timeouts, reconnectStrategy: false }
    })),
    // Each change is logged once, by this module.
    Layer.provide(Logger.layer([]))
  ))
  const { client, use } = Context.get(context, NodeRedis.NodeRedis)
  // The client would wait for responses that may never come.
  yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
  const responds = use((client) => client.ping()).pipe(
    Effect.timeoutOrElse({
      duration: ping.timeout,
      orElse: () => Effect.fail(new RedisError({ cause: new Cause.TimeoutError() }))
    })
  )
  yield* Effect.acquireRelease(
    onStores({
      rates: Context.get(context, RateLimiter.RateLimiterStore),
      circuits: Context.get(context, CircuitBreaker.CircuitBreakerStore)
    }),
    () => onStores(undefined)
  )
  return yield* Effect.forever(Effect.andThen(responds, Effect.sleep(ping.interval)))
})

/** The stores of the current connection, and the log of whether there is one. */
class CurrentStores {
  readonly #name: string
  readonly #isSettled = Deferred.makeUnsafe<void>()
  #stores: Stores | undefined
  #isLost = false

  constructor(url: Redacted.Redacted) {
    this.#name = URL.parse(Redacted.value(url))?.host ?? ""
  }

  /** Succeeds when there was a connection, or none could be opened. */
  get settled(): Effect.Effect<void> {
    return Deferred.await(this.#isSettled)
  }

  set(stores: Stores | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#stores = stores
      if (stores === undefined) return Effect.void
      const wasLost = this.#isLost
      this.#isLost = false
      Deferred.doneUnsafe(this.#isSettled, Effect.void)
      return wasLost
        ? Effect.logInfo(`rates and circuits are shared again, in the Redis at ${this.#name}`)
        : Effect.void
    })
  }

  lose(problem: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      Deferred.doneUnsafe(this.#isSettled, Effect.void)
      if (this.#isLost) return Effect.void
      this.#isLost = true
      return Effect.logWarning(
        `rates and circuits are not shared, because the Redis at ${this.#name} cannot be used (${problem}); it is tried again each second`
      )
    })
  }

  /** Uses the stores, or fails with an error of the store. */
  use<A, E, R>(
    operation: (stores: Stores) => Effect.Effect<A, E, R>,
    failure: (message: string) => E
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() =>
      this.#stores === undefined
        ? Effect.fail(failure(`there is no connection to the Redis at ${this.#name}`))
        : operation(this.#stores)
    )
  }
}

const rateError = (message: string) =>
  new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message }) })

const circuitError = (message: string) =>
  new CircuitBreaker.CircuitBreakerError({ reason: new CircuitBreaker.CircuitBreakerStoreError({ message }) })

const make = Effect.fnUntraced(function*(url: Redacted.Redacted) {
  const current = new CurrentStores(url)
  yield* connect(url, (stores) => current.set(stores)).pipe(
    Effect.scoped,
    Effect.tapError((error) => current.lose(problemOf(error))),
    Effect.retry(reconnect),
    Effect.forkScoped
  )
  yield* Effect.timeoutOrElse(current.settled, {
    duration: startTimeout,
    orElse: () => current.lose("no response")
  })
  return Context.make(
    RateLimiter.RateLimiterStore,
    RateLimiter.RateLimiterStore.of({
      fixedWindow: (options) => current.use(({ rates }) => rates.fixedWindow(options), rateError),
      tokenBucket: (options) => current.use(({ rates }) => rates.tokenBucket(options), rateError),
      adaptiveConsume: (options) => current.use(({ rates }) => rates.adaptiveConsume(options), rateError),
      adaptiveFeedback: (options) => current.use(({ rates }) => rates.adaptiveFeedback(options), rateError)
    })
  ).pipe(
    Context.add(
      CircuitBreaker.CircuitBreakerStore,
      CircuitBreaker.CircuitBreakerStore.of({
        admit: (key) => current.use(({ circuits }) => circuits.admit(key), circuitError),
        record: (options) => current.use(({ circuits }) => circuits.record(options), circuitError),
        state: (key) => current.use(({ circuits }) => circuits.state(key), circuitError)
      })
    )
  )
})

/** Layer of the stores in the Redis at a URL. */
export const layer = (
  url: Redacted.Redacted
): Layer.Layer<RateLimiter.RateLimiterStore | CircuitBreaker.CircuitBreakerStore> =>
  boundedLayer(Layer.effectContext(make(url)), {
    limit: endTimeout,
    warning: "the connection to Redis did not end in time; it ends with the process"
  })
