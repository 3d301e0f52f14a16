/**
 * Rates in a store that processes share, and the rates of one process while that store cannot be used.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { sharedRates } from "../../../packages/core/src/internal/server/sharedRates.ts"
import { start } from "../../fixtures/fibers.ts"

const inMemory = Effect.map(
  Layer.build(Layer.fresh(RateLimiter.layerStoreMemory)),
  (context) => Context.get(context, RateLimiter.RateLimiterStore)
)

describe("sharedRates", () => {
  for (const algorithm of ["token-bucket", "fixed-window"] as const) {
    it.effect(`counts what a process sent before an outage against its own rate: ${algorithm}`, () =>
      Effect.gen(function*() {
        let isMute = false
        const around = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
          Effect.suspend(() => isMute ? Effect.never : operation)
        const memory = yield* inMemory
        const store = RateLimiter.RateLimiterStore.of({
          ...memory,
          fixedWindow: (options) => around(memory.fixedWindow(options)),
          tokenBucket: (options) => around(memory.tokenBucket(options))
        })
        const rates = sharedRates(store, yield* inMemory, yield* Effect.scope)
        const limiter = yield* Effect.provideService(RateLimiter.make, RateLimiter.RateLimiterStore, rates)
        const consume = Effect.result(
          limiter.consume({ key: "s", algorithm, limit: 3, window: Duration.minutes(1), onExceeded: "fail" })
        )
        const outcomes = Effect.map(
          Effect.forEach([1, 2, 3], () => consume),
          (results) => results.map(({ _tag }) => _tag)
        )
        yield* consume
        yield* consume
        isMute = true
        const during = yield* start(outcomes)
        yield* TestClock.adjust("500 millis")
        assert.deepStrictEqual(yield* Fiber.join(during), ["Success", "Failure", "Failure"])
      }))
  }
})
