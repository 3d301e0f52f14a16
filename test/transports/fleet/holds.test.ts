/**
 * What a node knows of the owners of buckets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { Holds } from "../../../packages/transports/src/internal/fleet/holds.ts"

describe("holds", () => {
  it.effect("hold a bucket anew whose first hold was lost without an end", () =>
    Effect.gen(function*() {
      const fork = Effect.runForkWith(yield* Effect.context<never>())
      const holds = new Holds({ database: Effect.succeed(true), fork, onOwner: () => {} })
      let times = 0
      const third = Stream.suspend(() => {
        times++
        const owner = { id: String(times), node: "node", url: "http://127.0.0.1:1/" }
        return times === 1 ? Stream.never : Stream.concat(Stream.succeed(owner), Stream.never)
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
})
