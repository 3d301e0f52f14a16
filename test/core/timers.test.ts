/**
 * Timers of requests and connections: one fiber that sleeps for all of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as timers from "../../packages/core/src/internal/timers.ts"

/** Timers in a scope, and a log of what fires when. */
const makeTimers = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const all = yield* Scope.provide(timers.make, scope)
  const fired: Array<readonly [name: string | number, at: number]> = []
  const timer = (name: string | number, dueAt: number, onFire?: () => void): timers.Timer => ({
    timerIndex: -1,
    dueAt,
    fire: () => {
      fired.push([name, all.now()])
      onFire?.()
    }
  })
  return { all, fired, scope, timer }
})

const range = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const steps = Schema.Array(Schema.Struct({
  kind: Schema.Literals(["set", "set", "move", "clear", "wait"]),
  n: range(0, 1000),
  // Under the test clock, a timer that is overdue fires while it is set.
  delay: range(1, 50)
}))

describe("timers", () => {
  it.effect("fire in the order in which they are due, whatever the order in which they were set", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      for (const dueAt of [30, 10, 50, 20, 40, 10]) all.set(timer(dueAt, dueAt))
      yield* TestClock.adjust(60)
      assert.deepStrictEqual(fired, [[10, 10], [10, 10], [20, 20], [30, 30], [40, 40], [50, 50]])
    }))

  it.effect("fire once, and at once if they are overdue when they are set", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      yield* TestClock.adjust(100)
      all.set(timer("late", 50))
      yield* TestClock.adjust(0)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(fired, [["late", 100]])
    }))

  it.effect("fire although another one throws", () =>
    Effect.gen(function*() {
      const logs: Array<unknown> = []
      yield* Effect.gen(function*() {
        const { all, fired, timer } = yield* makeTimers
        for (const name of ["first", "second"]) {
          all.set(timer(name, 10, () => {
            throw new Error(name)
          }))
        }
        yield* TestClock.adjust(10)
        all.set(timer("later", 20))
        yield* TestClock.adjust(10)
        assert.deepStrictEqual(fired, [["first", 10], ["second", 10], ["later", 20]])
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => {
        logs.push(message)
      })])))
      assert.strictEqual(logs.length, 2)
    }))

  it.effect("fire at the later time if they are moved to one", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      const moved = timer("moved", 10)
      all.set(moved)
      all.set(timer("kept", 20))
      yield* TestClock.adjust(5)
      moved.dueAt = 30
      yield* TestClock.adjust(24)
      assert.deepStrictEqual(fired, [["kept", 20]])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(fired, [["kept", 20], ["moved", 30]])
    }))

  it.effect("never fire after they were cleared, even if a timer that is due at one time with them clears them", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      const before = timer("before", 5)
      const victim = timer("victim", 10)
      all.set(before)
      all.set(timer("first", 10, () => all.clear(victim)))
      all.set(victim)
      all.set(timer("last", 10))
      all.clear(before)
      all.clear(before)
      yield* TestClock.adjust(60)
      // Timers that are due at one time fire in any order.
      assert.sameDeepMembers(fired, [["first", 10], ["last", 10]])
    }))

  it.effect("fire at the later time if a timer that fires before them moves them", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      const moved = timer("moved", 10)
      all.set(timer("first", 10, () => {
        moved.dueAt = 25
      }))
      all.set(moved)
      yield* TestClock.adjust(60)
      assert.deepStrictEqual(fired, [["first", 10], ["moved", 25]])
    }))

  it.effect("may be set while another fires, and again by themselves", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      const again = timer("again", 20, () => {
        again.dueAt += 20
        if (again.dueAt <= 60) all.set(again)
      })
      all.set(timer("first", 10, () => {
        all.set(again)
        all.set(timer("at once", 10))
        all.set(timer("soon", 15))
      }))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, [
        ["first", 10],
        ["at once", 10],
        ["soon", 15],
        ["again", 20],
        ["again", 40],
        ["again", 60]
      ])
    }))

  it.effect("fire although all timers before them were cleared or have fired", () =>
    Effect.gen(function*() {
      const { all, fired, timer } = yield* makeTimers
      const cleared = timer("cleared", 10)
      all.set(cleared)
      all.clear(cleared)
      all.set(timer("second", 20))
      yield* TestClock.adjust(100)
      all.set(timer("third", 120))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, [["second", 20], ["third", 120]])
    }))

  it.effect("never fire after their scope has closed, be they set before or after", () =>
    Effect.gen(function*() {
      const { all, fired, scope, timer } = yield* makeTimers
      all.set(timer("before", 10))
      yield* Scope.close(scope, Exit.void)
      all.set(timer("after", 5))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, [])
    }))

  it.effect.prop(
    "fire once at the time at which they are due, unless they are moved or cleared before, in any order of events",
    [steps],
    ([steps]) =>
      Effect.gen(function*() {
        const { all, fired, timer } = yield* makeTimers
        const pending: Array<timers.Timer> = []
        const expected = new Map<number, number>()
        const nameOf = new Map<timers.Timer, number>()
        const forgetFired = () => {
          for (const [name] of fired) {
            const index = pending.findIndex((one) => nameOf.get(one) === name)
            if (index >= 0) pending.splice(index, 1)
          }
        }
        for (const [name, { delay, kind, n }] of steps.entries()) {
          const now = all.now()
          const one = pending[n % Math.max(1, pending.length)]
          if (kind === "set") {
            const added = timer(name, now + delay)
            nameOf.set(added, name)
            expected.set(name, added.dueAt)
            pending.push(added)
            all.set(added)
          } else if (kind === "wait") {
            yield* TestClock.adjust(delay)
            forgetFired()
          } else if (one !== undefined) {
            const key = nameOf.get(one) ?? assert.fail()
            if (kind === "move") expected.set(key, one.dueAt += delay)
            else {
              all.clear(one)
              expected.delete(key)
              pending.splice(pending.indexOf(one), 1)
            }
          }
        }
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(
          fired.toSorted(([one], [other]) => Number(one) - Number(other)),
          [...expected].toSorted(([one], [other]) => one - other)
        )
        const times = fired.map(([, at]) => at)
        assert.deepStrictEqual(times, times.toSorted((one, other) => one - other))
      }),
    { arbitrary: { seed: 1, runs: 200 } }
  )
})
