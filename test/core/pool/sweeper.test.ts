/**
 * The sweeper of a pool: idle sessions and sessions that have reached their maximum age are closed when they are due.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { lease, poolOf } from "../../fixtures/pool.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("the sweeper of a pool", () => {
  it.effect("closes idle sessions after `idleTimeToLive`, and keeps `min` of them", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ min: 1, idleTimeToLive: "1 minute" })
      assert.strictEqual(script.open, 1)
      const three = yield* Effect.forEach([1, 2, 3], () => lease(pool))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 3)
      yield* Effect.forEach(three, ({ release }) => release)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(script.open, 3)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 1)
      assert.strictEqual(script.connects.length, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("closes expired sessions when they are not leased, and not all at once", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 100, maxLifetime: "40 minutes", idleTimeToLive: "40 minutes", leakAfter: 0 })
      const leased = yield* Effect.forEach(Array.from({ length: 100 }), () => lease(pool))
      const [held, ...others] = leased
      yield* Effect.forEach(others, ({ release }) => release)
      yield* TestClock.adjust("39 minutes")
      const closed: Array<number> = []
      for (let left = script.open; script.open > 1; left = script.open) {
        yield* TestClock.adjust("1 second")
        closed.push(left - script.open)
      }
      assert.isAtMost(closed.length, 60)
      assert.isAtMost(Math.max(...closed), 10)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(script.open, 1)
      yield* held?.release ?? assert.fail()
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
