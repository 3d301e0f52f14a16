/**
 * What a store outside this process costs calls when it does not respond, and what holds meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import * as Scripted from "../../fixtures/scripted.ts"
import { sound } from "../../fixtures/soundOptions.ts"

/** Counts what a store is asked, and holds its answers back for as long as `isAway` is set. */
const holdable = (isAway = true) => {
  const state = { isAway, asked: 0 }
  const around = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      state.asked++
      return state.isAway ? Effect.never : operation
    })
  const rates = Layer.effect(
    RateLimiter.RateLimiterStore,
    Effect.map(RateLimiter.RateLimiterStore, (memory) => ({
      ...memory,
      tokenBucket: (options: Parameters<typeof memory.tokenBucket>[0]) => around(memory.tokenBucket(options)),
      adaptiveConsume: (options: Parameters<typeof memory.adaptiveConsume>[0]) =>
        around(memory.adaptiveConsume(options)),
      adaptiveFeedback: (options: Parameters<typeof memory.adaptiveFeedback>[0]) =>
        around(memory.adaptiveFeedback(options))
    }))
  ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
  const circuits = Layer.effect(
    CircuitBreaker.CircuitBreakerStore,
    Effect.map(CircuitBreaker.CircuitBreakerStore, (memory) => ({
      admit: (key: string) => around(memory.admit(key)),
      record: (options: Parameters<typeof memory.record>[0]) => around(memory.record(options)),
      state: (key: string) => around(memory.state(key))
    }))
  ).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
  return { state, rates, circuits }
}

const config = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }

/** Starts a number of calls. */
const startCalls = (count: number) =>
  Effect.flatMap(Sessions.Sessions, ({ callTool }) =>
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkChild(callTool("s", "t"), { startImmediately: true })
    ))

const requestsOf = ({ requests }: Scripted.Script) =>
  requests.filter((request) => request.endsWith(":tools/call:t")).length

const rateLimit = { limit: 2, window: "1 minute" as const }

describe("a store that does not respond", () => {
  it.effect("delays calls by half a second once, and leaves each process its own rate", () => {
    const script = Scripted.make({})
    const { rates, state } = holdable()
    const layer = Scripted.sessions(script, { servers: { s: { ...config, rateLimit } } })
    return Effect.gen(function*() {
      yield* startCalls(10)
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual([requestsOf(script), state.asked], [0, 1])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([requestsOf(script), state.asked], [2, 1])
      yield* TestClock.adjust("62 seconds")
      assert.strictEqual(requestsOf(script), 4)
    }).pipe(Effect.provide(Layer.provide(layer, rates)))
  })

  it.effect("holds no rate twice: what a process sent before counts while the store is away", () => {
    const script = Scripted.make({})
    const { rates, state } = holdable(false)
    const layer = Scripted.sessions(script, { servers: { s: { ...config, rateLimit } } })
    return Effect.gen(function*() {
      yield* startCalls(2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(requestsOf(script), 2)
      state.isAway = true
      yield* startCalls(2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requestsOf(script), 2)
      yield* TestClock.adjust("52 seconds")
      assert.strictEqual(requestsOf(script), 4)
    }).pipe(Effect.provide(Layer.provide(layer, rates)))
  })

  it.effect("lifts no pause that a server has asked for with 429", () => {
    const busy = new SessionError.HttpFailed({ status: 429, retryAfter: "30", delivery: "Rejected" })
    let refusals = 1
    const script = Scripted.make({
      answer: ({ method }) =>
        method === "tools/call" && refusals-- > 0 ? Effect.fail(busy) : Effect.succeed({ content: [] })
    })
    const { rates, state } = holdable(false)
    const layer = Scripted.sessions(script, { servers: { s: config }, retry: RetryPolicy.never })
    return Effect.gen(function*() {
      yield* startCalls(1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(requestsOf(script), 1)
      state.isAway = true
      yield* startCalls(1)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(requestsOf(script), 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(requestsOf(script), 2)
    }).pipe(Effect.provide(Layer.provide(layer, rates)))
  })

  it.effect("is used again once it responds, and not asked for a second after a failure", () => {
    const script = Scripted.make({})
    const { rates, state } = holdable()
    const layer = Scripted.sessions(script, {
      servers: { s: { ...config, rateLimit: { limit: 100, window: "1 minute" } } }
    })
    return Effect.gen(function*() {
      yield* startCalls(1)
      yield* TestClock.adjust("500 millis")
      state.isAway = false
      yield* TestClock.adjust("999 millis")
      yield* startCalls(1)
      assert.deepStrictEqual([requestsOf(script), state.asked], [2, 1])
      yield* TestClock.adjust("1 millis")
      yield* startCalls(1)
      assert.deepStrictEqual([requestsOf(script), state.asked], [3, 2])
    }).pipe(Effect.provide(Layer.provide(layer, rates)))
  })

  it.effect("delays connects by half a second once, and leaves each process its own circuit", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    const { circuits, state } = holdable()
    const circuit = { failures: 3, openFor: "1 minute" as const }
    const layer = Scripted.sessions(script, { servers: { s: config }, circuit, retry: RetryPolicy.never })
    return Effect.gen(function*() {
      yield* startCalls(1)
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual([script.connects.length, state.asked], [0, 1])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.connects.length, 1)
      const { callTool, status } = yield* Sessions.Sessions
      for (let n = 0; n < 10; n++) {
        const calls = yield* startCalls(1)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.awaitAll(calls)
      }
      assert.strictEqual(script.connects.length, 3)
      const refused = yield* start(Effect.flip(sound(callTool("s", "t"))))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(refused)).reason._tag, "ServerDown")
      const shown = yield* start(status("s"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(shown)).circuit.state, "open")
    }).pipe(Effect.provide(Layer.provide(layer, circuits)))
  })

  it.effect("counts a failure of which the store could not be told", () => {
    const { circuits, state } = holdable(false)
    const script = Scripted.make({
      connect: () =>
        Effect.suspend(() => {
          state.isAway = true
          return Effect.fail(Scripted.refused)
        })
    })
    const circuit = { failures: 2, openFor: "1 minute" as const }
    const layer = Scripted.sessions(script, { servers: { s: config }, circuit, retry: RetryPolicy.never })
    return Effect.gen(function*() {
      for (let n = 0; n < 5; n++) {
        const calls = yield* startCalls(1)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.awaitAll(calls)
      }
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(Layer.provide(layer, circuits)))
  })

  it.effect("delays no call of a server with a rate while it is probed", () => {
    const script = Scripted.make({})
    const { rates, state } = holdable()
    const layer = Scripted.sessions(script, {
      servers: { s: { ...config, rateLimit: { limit: 1000, window: "1 minute" } } }
    })
    return Effect.gen(function*() {
      yield* startCalls(1)
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual([requestsOf(script), state.asked], [1, 1])
      for (const probes of [1, 2, 3]) {
        yield* TestClock.adjust("1 second")
        yield* startCalls(50)
        assert.deepStrictEqual([requestsOf(script), state.asked], [1 + 50 * probes, 1 + probes])
        yield* TestClock.adjust("500 millis")
      }
    }).pipe(Effect.provide(Layer.provide(layer, rates)))
  })
})
