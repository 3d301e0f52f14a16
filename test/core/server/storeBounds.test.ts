/**
 * What a store outside this process costs calls when it does not respond.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

/** Counts what a store is asked, and holds its answers back for as long as `isAway` is set. */
const holdable = () => {
  const state = { isAway: true, asked: 0 }
  const around = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      state.asked++
      return state.isAway ? Effect.never : operation
    })
  return { state, around }
}

const config = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }

/** Starts a number of calls. */
const startCalls = (count: number) =>
  Effect.flatMap(Sessions.Sessions, ({ callTool }) =>
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkChild(callTool("s", "t"), { startImmediately: true })
    ))

describe("a store that does not respond", () => {
  it.effect("delays calls by half a second, once in a second and a half, and limits no rate meanwhile", () => {
    const script = Scripted.make({})
    const { around, state } = holdable()
    const store = Layer.effect(
      RateLimiter.RateLimiterStore,
      Effect.map(RateLimiter.RateLimiterStore, (memory) => ({
        ...memory,
        tokenBucket: (options: Parameters<typeof memory.tokenBucket>[0]) => around(memory.tokenBucket(options))
      }))
    ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
    const rateLimit = { limit: 1, window: "1 minute" as const }
    const layer = Scripted.sessions(script, { servers: { s: { ...config, rateLimit } } })
    return Effect.gen(function*() {
      yield* startCalls(10)
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual([script.requests.length, state.asked], [0, 1])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([script.requests.length, state.asked], [10, 1])
      yield* TestClock.adjust("999 millis")
      yield* startCalls(10)
      assert.deepStrictEqual([script.requests.length, state.asked], [20, 1])
      state.isAway = false
      yield* TestClock.adjust("1 millis")
      yield* startCalls(2)
      assert.deepStrictEqual([script.requests.length, state.asked], [21, 3])
    }).pipe(Effect.provide(Layer.provide(layer, store)))
  })

  it.effect("delays connects by half a second, once in a second and a half, and opens no circuit meanwhile", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    const { around, state } = holdable()
    const store = Layer.effect(
      CircuitBreaker.CircuitBreakerStore,
      Effect.map(CircuitBreaker.CircuitBreakerStore, (memory) => ({
        admit: (key: string) => around(memory.admit(key)),
        record: (options: Parameters<typeof memory.record>[0]) => around(memory.record(options)),
        state: (key: string) => around(memory.state(key))
      }))
    ).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
    const layer = Scripted.sessions(script, { servers: { s: config }, circuit: Circuit.circuitDefault })
    return Effect.gen(function*() {
      const calls = yield* startCalls(1)
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual([script.connects.length, state.asked], [0, 1])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.connects.length, 1)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(state.asked, 1)
      yield* Fiber.interruptAll(calls)
    }).pipe(Effect.provide(Layer.provide(layer, store)))
  })
})
