/**
 * Fibers that run the effects of an HTTP client or an interceptor of the program.
 *
 * They are interrupted when the scope closes. The close waits for them for a limited time: what the program runs may be uninterruptible, or
 * have finalizers that hang.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

/** How long the fibers may take to end after they were interrupted. */
const endTimeout = Duration.seconds(1)

/** Makes a function that runs effects, for as long as the scope. */
export const makeRuntime = <A = unknown, E = unknown>(): Effect.Effect<
  (effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>,
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const run = yield* Scope.provide(FiberSet.makeRuntime<never, A, E>(), scope)
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        // In a fiber of its own: the close cannot be interrupted, but the wait for it can.
        const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
        const ended = yield* Effect.timeoutOption(Fiber.await(closing), endTimeout)
        if (Option.isNone(ended)) yield* Effect.logWarning("an HTTP client of the program did not end in time")
      })
    )
    return (effect) => run(effect)
  })
