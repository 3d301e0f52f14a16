import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { spawnAhead } from "../../../packages/transports/src/internal/stdio/spawnAhead.ts"

describe("a process that starts before its channel", () => {
  /** Starts that are numbered, and the numbers of those that were released. */
  const starts = () => {
    const released: Array<number> = []
    let started = 0
    const start = Effect.acquireRelease(
      Effect.sync(() => ++started),
      (number) => Effect.sync(() => released.push(number))
    )
    return { released, start, started: () => started }
  }

  it.effect("is taken by the first channel and ends with it; later channels start others", () =>
    Effect.gen(function*() {
      const { released, start, started } = starts()
      const take = yield* spawnAhead(start)
      assert.strictEqual(started(), 1)
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      assert.strictEqual(yield* Scope.provide(take, first), 1)
      assert.strictEqual(yield* Scope.provide(take, second), 2)
      yield* Scope.close(first, Exit.void)
      assert.deepStrictEqual(released, [1])
      yield* Scope.close(second, Exit.void)
      assert.deepStrictEqual(released, [1, 2])
    }))

  it.effect("ends with the connect if no channel takes it", () =>
    Effect.gen(function*() {
      const { released, start } = starts()
      yield* Effect.asVoid(Effect.scoped(spawnAhead(start)))
      assert.deepStrictEqual(released, [1])
    }))

  it.effect("fails the first channel if it cannot start", () =>
    Effect.gen(function*() {
      let started = 0
      const take = yield* spawnAhead(Effect.suspend(() => Effect.fail(++started)))
      assert.strictEqual(yield* Effect.flip(take), 1)
      assert.strictEqual(yield* Effect.flip(take), 2)
    }))
})
