import { assert, describe, it } from "@effect/vitest"
import * as TimeBudget from "@mcp-sessions/cli/TimeBudget"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const left = (budget: TimeBudget.TimeBudget) => Effect.map(budget.left, Duration.toMillis)

describe("a time budget", () => {
  it.effect("is spent after its limit", () =>
    Effect.gen(function*() {
      const budget = yield* TimeBudget.make(Duration.seconds(2))
      const spent = yield* Effect.forkChild(budget.spent, { startImmediately: true })
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* left(budget), 500)
      assert.isUndefined(spent.pollUnsafe())
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(spent)
      assert.strictEqual(yield* left(budget), 1)
    }))

  it.effect("stands still while at least one pause runs", () =>
    Effect.gen(function*() {
      const budget = yield* TimeBudget.make(Duration.seconds(2))
      const spent = yield* Effect.forkChild(budget.spent, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      const first = yield* Effect.forkChild(budget.pause(Effect.sleep("10 seconds")), { startImmediately: true })
      const second = yield* Effect.forkChild(budget.pause(Effect.sleep("20 seconds")), { startImmediately: true })
      yield* TestClock.adjust("15 seconds")
      yield* Fiber.join(first)
      assert.isTrue(budget.isPaused())
      assert.strictEqual(yield* left(budget), 1000)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(second)
      assert.isFalse(budget.isPaused())
      assert.isUndefined(spent.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(spent)
    }))

  it.effect("runs on after a pause that is interrupted", () =>
    Effect.gen(function*() {
      const budget = yield* TimeBudget.make(Duration.seconds(2))
      const pause = yield* Effect.forkChild(budget.pause(Effect.never), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(pause)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* left(budget), 500)
    }))
})
