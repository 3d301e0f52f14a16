/**
 * Scoped fork: runs effects from callbacks, in fibers that end with a scope.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

/** Runs an effect in a fiber of its own, which has begun when this returns. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/**
 * Makes a fork whose fibers have the context of the caller. The end of the scope interrupts those that run, and waits for them. After it, no effect
 * runs: its fiber is interrupted from the start.
 */
export const makeFork: Effect.Effect<Fork, never, Scope.Scope> = Effect.gen(function*() {
  const running = yield* FiberSet.make()
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  return (effect) => {
    if (running.state._tag === "Closed") return runFork(Effect.interrupt)
    const fiber = runFork(effect)
    // Most effects of a request end at once. `FiberSet.makeRuntime` takes three times as long for these.
    if (fiber.pollUnsafe() === undefined) FiberSet.addUnsafe(running, fiber)
    return fiber
  }
})
