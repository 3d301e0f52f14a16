/**
 * What a node knows of the owners of buckets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { DatabaseProbe } from "../../../packages/transports/src/internal/fleet/databaseProbe.ts"
import { Holds } from "../../../packages/transports/src/internal/fleet/holds.ts"
import type { Activation } from "../../../packages/transports/src/internal/fleet/ownership.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"

const ownerOf = (id: string): Activation => ({ id, node: "node", url: "http://127.0.0.1:1/" })

const make = (isReachable: Effect.Effect<boolean> = Effect.succeed(true)) =>
  Effect.gen(function*() {
    const fork = yield* makeFork
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    return new Holds({ database: new DatabaseProbe({ isReachable, fork, now }), fork, onOwner: () => {} })
  })

describe("holds", () => {
  it.effect("hold a bucket anew whose first hold was lost without an end", () =>
    Effect.gen(function*() {
      const holds = yield* make()
      let times = 0
      const third = Stream.suspend(() => {
        times++
        return times === 1 ? Stream.never : Stream.concat(Stream.succeed(ownerOf(String(times))), Stream.never)
      })
      yield* holds.follow((bucket) => bucket === 3 ? third : Stream.never)
      yield* TestClock.adjust("1 second")
      assert.isUndefined(holds.current(3))
      yield* Effect.repeat(TestClock.adjust("100 millis"), {
        times: 100,
        until: () => holds.current(3) !== undefined
      })
      assert.strictEqual(holds.current(3)?.id, "2")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(times, 2)
    }))

  it.effect("ask for an owner that is not known for as long as a request waits for it, and no longer", () =>
    Effect.gen(function*() {
      const holds = yield* make()
      const asked = [0, 0]
      yield* holds.follow((bucket) =>
        Stream.suspend(() => {
          asked[bucket] = (asked[bucket] ?? 0) + 1
          return Stream.never
        })
      )
      const waiting = yield* Effect.forkChild(holds.owner(0), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const [ofWaiting = 0, ofOther = 0] = asked
      assert.isAtLeast(ofWaiting, ofOther + 5)
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("5 seconds")
      const before = (asked[0] ?? 0) - (asked[1] ?? 0)
      yield* TestClock.adjust("1 minute")
      // Both buckets are held anew from time to time.
      assert.strictEqual((asked[0] ?? 0) - (asked[1] ?? 0), before)
    }))

  it.effect("have the database probed once for all requests that wait, ten times a second at most", () =>
    Effect.gen(function*() {
      let queries = 0
      const holds = yield* make(Effect.as(
        Effect.andThen(
          Effect.sync(() => queries++),
          Effect.sleep("1 millis")
        ),
        true
      ))
      yield* holds.follow(() => Stream.never)
      const requests = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, bucket) => bucket % 256),
        (bucket) => Effect.forkChild(Effect.flip(holds.owner(bucket)), { startImmediately: true })
      )
      yield* TestClock.adjust("3 seconds")
      assert.isAtLeast(queries, 10)
      assert.isAtMost(queries, 30)
      assert.isTrue(requests.every((request) => request.pollUnsafe() === undefined))
      yield* Fiber.interruptAll(requests)
      const before = queries
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(queries, before)
    }))

  it.effect("fail requests within 2 seconds if the database does not answer, however late each probe shows it", () =>
    Effect.gen(function*() {
      let isAway = false
      const slow = Effect.suspend(() => isAway ? Effect.as(Effect.sleep("700 millis"), false) : Effect.succeed(true))
      const holds = yield* make(slow)
      yield* holds.follow(() => Stream.never)
      const timed = Effect.gen(function*() {
        const begunAt = yield* Clock.currentTimeMillis
        const why = yield* Effect.flip(holds.owner(0))
        return { why, time: (yield* Clock.currentTimeMillis) - begunAt }
      })
      // One waits before, so the last probe that succeeds ends just before the database goes.
      const before = yield* Effect.forkChild(timed, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      isAway = true
      const requests = yield* Effect.forEach(
        Array.from({ length: 40 }),
        () =>
          Effect.andThen(
            Effect.forkChild(timed, { startImmediately: true }),
            (fiber) => Effect.as(TestClock.adjust("37 millis"), fiber)
          )
      )
      yield* TestClock.adjust("2 seconds")
      const ends = yield* Fiber.joinAll(requests)
      for (const { time, why } of ends) {
        assert.strictEqual(why, "database")
        assert.isBelow(time, 2000)
      }
      assert.strictEqual((yield* Fiber.join(before)).why, "database")
    }))

  it.effect("report that a bucket has moved once it has had no activation for 15 seconds", () =>
    Effect.gen(function*() {
      const holds = yield* make()
      let isHeld = true
      yield* holds.follow((bucket) =>
        Stream.suspend(() =>
          bucket === 0 && isHeld
            ? Stream.concat(Stream.succeed(ownerOf("first")), Stream.drain(Stream.fromEffect(Effect.sleep("1 second"))))
            : Stream.never
        )
      )
      yield* Effect.yieldNow
      yield* TestClock.adjust("500 millis")
      let moves = 0
      holds.onMoved(0, ownerOf("first"), () => moves++)
      isHeld = false
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(moves, 0)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(moves, 1)
    }))
})

describe("a probe of the database", () => {
  it.effect("fails for all that wait if its client fails, and begins anew afterwards", () =>
    Effect.gen(function*() {
      let hasFault = true
      const fork = yield* makeFork
      const probe = new DatabaseProbe({
        isReachable: Effect.suspend(() =>
          Effect.andThen(Effect.sleep("1 second"), hasFault ? Effect.die("a fault") : Effect.succeed(true))
        ),
        fork,
        now: () => 0
      })
      const both = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(Effect.exit(probe.isAway), { startImmediately: true }))
      yield* TestClock.adjust("1 second")
      for (const exit of yield* Fiber.joinAll(both)) {
        assert.isTrue(Exit.hasDies(exit))
      }
      hasFault = false
      const later = yield* Effect.forkChild(probe.isAway, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* Fiber.join(later))
    }))
})
