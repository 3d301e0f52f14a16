/**
 * Circuits in a store that processes share, and the circuits of one process while that store cannot be used.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Latch, Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import { sharedCircuits } from "../../../packages/core/src/internal/server/sharedCircuits.ts"
import { start } from "../../fixtures/fibers.ts"
import { withLogs } from "../../fixtures/logs.ts"

const inMemory = Effect.map(
  Effect.suspend(() => Effect.scoped(Layer.build(Layer.fresh(CircuitBreaker.layerStoreMemory())))),
  (context) => Context.get(context, CircuitBreaker.CircuitBreakerStore)
)

const failing = Effect.fail("down" as const)

/** A breaker on a shared store that does not respond while `isMute` is set, and dies while `isBroken` is set. */
const setting = Effect.gen(function*() {
  const state = { isMute: false, isBroken: false, asked: 0 }
  const around = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      state.asked++
      if (state.isBroken) return Effect.die("broken")
      return state.isMute ? Effect.never : operation
    })
  const memory = yield* inMemory
  const store = CircuitBreaker.CircuitBreakerStore.of({
    admit: (key) => around(memory.admit(key)),
    record: (outcome) => around(memory.record(outcome)),
    state: (key) => around(memory.state(key))
  })
  const circuits = sharedCircuits(store, inMemory, yield* Effect.scope)
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(3),
    openDuration: "1 minute"
  }).pipe(Effect.provideService(CircuitBreaker.CircuitBreakerStore, circuits))
  const execute = <A, E>(operation: Effect.Effect<A, E>) => Effect.exit(breaker.execute(operation, { key: "s" }))
  /** Makes the store mute, and waits until that is found. */
  const leave = Effect.gen(function*() {
    state.isMute = true
    const found = yield* start(breaker.state("s"))
    yield* TestClock.adjust("500 millis")
    yield* Fiber.join(found)
  })
  /** Makes the store respond, and waits until that is found. */
  const comeBack = Effect.gen(function*() {
    state.isMute = false
    yield* TestClock.adjust("1 second")
    yield* breaker.state("s")
  })
  const circuit = Effect.map(breaker.state("s"), ({ _tag }) => _tag)
  return { state, execute, leave, comeBack, circuit, store: memory }
})

describe("sharedCircuits", () => {
  it.effect("delays only operations that began before the store was found mute", () =>
    Effect.gen(function*() {
      const { execute, state } = yield* setting
      state.isMute = true
      let waiting = 0
      for (let at = 0; at < 5000; at += 5) {
        const operation = yield* start(execute(Effect.void))
        if (at > 500 && operation.pollUnsafe() === undefined) waiting++
        yield* TestClock.adjust("5 millis")
      }
      assert.strictEqual(waiting, 0)
      // The operations of the first half second, and a probe each second and a half.
      assert.isAtMost(state.asked, 101 + 4)
    }))

  it.effect("counts nothing of an earlier outage", () =>
    Effect.gen(function*() {
      const { circuit, comeBack, execute, leave } = yield* setting
      yield* leave
      yield* execute(failing)
      yield* execute(failing)
      yield* comeBack
      yield* execute(Effect.void)
      yield* leave
      yield* execute(failing)
      assert.strictEqual(yield* circuit, "Closed")
      yield* execute(failing)
      assert.strictEqual(yield* circuit, "Closed")
      yield* execute(failing)
      assert.strictEqual(yield* circuit, "Open")
    }))

  it.effect("records the outcomes of operations that outlast an outage in the store, and not in the next outage", () =>
    Effect.gen(function*() {
      const { circuit, comeBack, execute, leave, store } = yield* setting
      const end = Latch.makeUnsafe(false)
      const later = Latch.makeUnsafe(false)
      yield* leave
      const outlasting = yield* Effect.forEach([1, 2, 3], () => start(execute(Effect.andThen(end.await, failing))))
      const next = yield* start(execute(Effect.andThen(later.await, Effect.void)))
      yield* comeBack
      yield* end.open
      yield* Effect.forEach(outlasting, Fiber.join)
      assert.strictEqual(yield* circuit, "Open")
      assert.strictEqual((yield* store.state("s"))._tag, "Open")
      yield* leave
      // A success of an earlier outage is no success of the first generation of this one.
      yield* execute(failing)
      yield* execute(failing)
      yield* execute(failing)
      assert.strictEqual(yield* circuit, "Open")
      yield* later.open
      yield* Fiber.join(next)
      assert.strictEqual(yield* circuit, "Open")
    }))

  it.effect("logs an outage once, however many operations are in flight when it begins", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { circuit, execute, state } = yield* setting
        const end = Latch.makeUnsafe(false)
        const inFlight = yield* Effect.forEach(
          Array.from({ length: 64 }),
          () => start(execute(Effect.andThen(end.await, failing)))
        )
        state.isMute = true
        yield* end.open
        yield* TestClock.adjust("500 millis")
        yield* Effect.forEach(inFlight, Fiber.join)
        assert.strictEqual(yield* circuit, "Open")
        assert.deepStrictEqual(logs, [
          "Warn the circuits of servers hold for this process alone, because their store cannot be used: no answer within 500 millis"
        ])
      })
    ))

  it.effect("probes the store again after a probe ended with a defect, and logs the defect", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { circuit, comeBack, leave, state } = yield* setting
        yield* leave
        state.isBroken = true
        yield* TestClock.adjust("1 second")
        yield* circuit
        state.isBroken = false
        assert.isTrue(logs.some((entry) => entry.startsWith("Error") && entry.includes("broken")))
        yield* comeBack
        assert.strictEqual(logs.at(-1), "Info the circuits of servers are shared again")
      })
    ))

  it.effect("takes no admission of the shared circuit to probe the store", () =>
    Effect.gen(function*() {
      const { execute, leave, state, store } = yield* setting
      yield* Effect.forEach([1, 2, 3], () => execute(failing))
      yield* leave
      yield* TestClock.adjust("2 minutes")
      state.isMute = false
      // The open period is over, so an admission would make the circuit half-open.
      const end = Latch.makeUnsafe(false)
      const operation = yield* start(execute(end.await))
      assert.strictEqual((yield* store.state("s"))._tag, "Open")
      // Its success is recorded in the store, which responds again.
      yield* end.open
      yield* Fiber.join(operation)
      assert.strictEqual((yield* store.state("s"))._tag, "Closed")
    }))
})
