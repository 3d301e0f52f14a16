/**
 * The bulkhead under any order of callers that come, wait, leave and release.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Bulkhead } from "../../../packages/core/src/internal/server/bulkhead.ts"
import { start } from "../../fixtures/fibers.ts"

interface Caller {
  readonly fiber: Fiber.Fiber<void>
  readonly state: { isServed: boolean }
}

/** A bulkhead and its callers. Each holds its permit until `release`. */
const make = (limit: number) => {
  const bulkhead = new Bulkhead(limit)
  const waiting: Array<Caller> = []
  const held: Array<Caller> = []
  const served: Array<string> = []
  const arrive = (owner: string, name = owner) =>
    Effect.gen(function*() {
      const state = { isServed: false }
      const fiber = yield* start(bulkhead.wait(owner, () => {
        served.push(name)
        state.isServed = true
      }))
      const caller: Caller = { fiber, state }
      waiting.push(caller)
      collect()
    })
  /** Moves the callers that were served meanwhile. */
  const collect = () => {
    for (const caller of waiting.filter(({ state }) => state.isServed)) {
      waiting.splice(waiting.indexOf(caller), 1)
      held.push(caller)
    }
  }
  const release = (n: number) =>
    Effect.sync(() => {
      if (held.length === 0) return
      held.splice(n % held.length, 1)
      bulkhead.release()
    })
  /** Releases permits in one moment. */
  const releaseTogether = (count: number) =>
    Effect.sync(() => {
      for (const _ of held.splice(0, count)) bulkhead.release()
    })
  /** Interrupts a caller that waits. One that was served in the same moment keeps its permit. */
  const leave = (n: number) =>
    Effect.suspend(() => {
      const caller = waiting[n % Math.max(1, waiting.length)]
      if (caller === undefined) return Effect.void
      return Effect.andThen(
        Fiber.interrupt(caller.fiber),
        Effect.sync(() => {
          collect()
          if (!caller.state.isServed) waiting.splice(waiting.indexOf(caller), 1)
        })
      )
    })
  const settle = Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 5 }), Effect.sync(collect))
  return { bulkhead, waiting, held, served, arrive, release, releaseTogether, leave, settle }
}

const size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))

const steps = Schema.Array(Schema.Struct({
  kind: Schema.Literals(["arrive", "arrive", "release", "releaseTogether", "leave", "settle"]),
  n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
}))

const owners = ["a", "b", "c"] as const

describe("the bulkhead", () => {
  it.effect.prop(
    "never has more permits in use than its limit, keeps no caller waiting while a permit is free, and loses no permit",
    [steps, size],
    ([steps, limit]) =>
      Effect.gen(function*() {
        const { arrive, bulkhead, held, leave, release, releaseTogether, settle, waiting } = make(limit)
        for (const { kind, n } of steps) {
          if (kind === "arrive") yield* arrive(owners[n % owners.length] ?? "a")
          else if (kind === "release") yield* release(n)
          else if (kind === "releaseTogether") yield* releaseTogether(1 + n % limit)
          else if (kind === "leave") yield* leave(n)
          else {
            yield* settle
            assert.strictEqual(bulkhead.used, held.length)
            if (waiting.length > 0) assert.strictEqual(held.length, limit)
          }
          assert.isAtMost(held.length, limit)
          assert.isAtMost(bulkhead.used, limit)
        }
        // Everyone is served in the end, and all permits are free then.
        for (let n = 0; waiting.length + held.length > 0; n++) {
          assert.isBelow(n, 1000, "a caller starves")
          yield* release(n)
          yield* settle
        }
        assert.strictEqual(bulkhead.used, 0)
        for (let n = 0; n < limit; n++) assert.isTrue(bulkhead.tryTake())
        assert.isFalse(bulkhead.tryTake())
      }),
    { arbitrary: { seed: 1, runs: 500 } }
  )

  it.effect("hands released permits to waiting owners in turn, and to each in the order of its calls", () =>
    Effect.gen(function*() {
      const { arrive, release, served, settle } = make(1)
      yield* arrive("first")
      for (const name of ["a1", "a2", "a3", "b1", "c1", "b2"]) yield* arrive(name.slice(0, 1), name)
      for (let n = 0; n < 6; n++) {
        yield* release(0)
        yield* settle
      }
      assert.deepStrictEqual(served, ["first", "a1", "b1", "c1", "a2", "b2", "a3"])
    }))

  it.effect("gives each of several permits that are released together to a waiter of its own", () =>
    Effect.gen(function*() {
      const { arrive, bulkhead, held, releaseTogether, settle, waiting } = make(3)
      for (let n = 0; n < 6; n++) yield* arrive(owners[n % owners.length] ?? "a")
      yield* releaseTogether(3)
      yield* settle
      assert.deepStrictEqual([bulkhead.used, held.length, waiting.length], [3, 3, 0])
    }))

  it.effect("has its permits back after more of them were released together than callers waited", () =>
    Effect.gen(function*() {
      const { arrive, bulkhead, held, release, releaseTogether, settle } = make(3)
      for (let n = 0; n < 4; n++) yield* arrive("a")
      yield* releaseTogether(3)
      yield* settle
      assert.deepStrictEqual([bulkhead.used, held.length], [1, 1])
      yield* release(0)
      assert.strictEqual(bulkhead.used, 0)
    }))

  it.effect("gives the permit to the next waiter if the first is interrupted in the moment of its release", () =>
    Effect.gen(function*() {
      const { arrive, bulkhead, leave, release, served, settle } = make(1)
      for (const name of ["a", "b", "c"]) yield* arrive(name)
      yield* release(0)
      yield* leave(0)
      yield* settle
      if (!served.includes("b")) assert.deepStrictEqual(served, ["a", "c"])
      assert.strictEqual(bulkhead.used, 1)
    }))

  it.effect("takes no permit for a caller that is interrupted while it waits", () =>
    Effect.gen(function*() {
      const { arrive, bulkhead, leave, release, settle, waiting } = make(1)
      yield* arrive("a")
      for (let n = 0; n < 5; n++) yield* arrive("b")
      while (waiting.length > 0) yield* leave(0)
      assert.strictEqual(bulkhead.used, 1)
      yield* release(0)
      yield* settle
      assert.strictEqual(bulkhead.used, 0)
    }))

  it.effect("serves waiters that release at once one after another, and not each within the one before", () =>
    Effect.gen(function*() {
      const bulkhead = new Bulkhead(1)
      bulkhead.tryTake()
      let depth = 0
      let deepest = 0
      const waiters = yield* Effect.forEach(Array.from({ length: 5000 }), () =>
        start(bulkhead.wait("a", () => {
          deepest = Math.max(deepest, ++depth)
          bulkhead.release()
          depth--
        })))
      bulkhead.release()
      yield* Fiber.awaitAll(waiters)
      assert.deepStrictEqual([deepest, bulkhead.used], [1, 0])
    }))
})
