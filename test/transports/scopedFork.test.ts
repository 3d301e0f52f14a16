/**
 * Fibers that callbacks start, and the scope that they end with.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { makeFork } from "../../packages/transports/src/internal/scopedFork.ts"

describe("a fork of a scope", () => {
  it.effect("interrupts what still runs when the scope closes, and waits until it has ended", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const fork = yield* Scope.provide(makeFork, scope)
      const [mayEnd, events] = [yield* Deferred.make<void>(), [] as Array<string>]
      const cleanup = Effect.andThen(Deferred.await(mayEnd), Effect.sync(() => void events.push("cleaned up")))
      fork(Effect.onInterrupt(Effect.never, () => cleanup))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(events, ["cleaned up"])
    }))

  it.effect("runs nothing after the scope has closed, and tells observers of an interruption", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const fork = yield* Scope.provide(makeFork, scope)
      yield* Scope.close(scope, Exit.void)
      const exits: Array<boolean> = []
      let hasRun = false
      fork(Effect.sync(() => {
        hasRun = true
      })).addObserver((exit) => exits.push(Exit.hasInterrupts(exit)))
      assert.isFalse(hasRun)
      assert.deepStrictEqual(exits, [true])
    }))
})
