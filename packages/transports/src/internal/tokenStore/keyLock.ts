/**
 * Locks by key: first among the fibers of this process, then among processes.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { failure, type TokenStoreFailed } from "./tokenStoreFailed.ts"
import type { Locked } from "./tokenStorePort.ts"

/** How long to wait for a lock: longer than a renewal of tokens takes, with its retries. */
const lockTimeout = "30 seconds"

/** A lock that is held: runs the effect that it protects, and reports what only the end of the lock shows. */
export interface Held {
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TokenStoreFailed, R>
}

/** A lock of the process itself, which protects nothing beyond it. */
export const unshared: Held = { run: (effect) => effect }

/** Tries to take the lock of a key from other processes. `undefined`: another process holds it. The scope releases it. */
export type TryLock = (key: string) => Effect.Effect<Held | undefined, TokenStoreFailed, Scope.Scope>

/** A random pause, so that processes that wait do not try at the same moments. */
const pause = Effect.flatMap(Random.nextBetween(10, 100), Effect.sleep)

/** Repeats an attempt, with pauses, until it has the lock. */
const untilHeld = Effect.fnUntraced(
  function*(attempt: ReturnType<TryLock>): Effect.fn.Return<Held, TokenStoreFailed, Scope.Scope> {
    let held = yield* attempt
    while (held === undefined) {
      yield* pause
      held = yield* attempt
    }
    return held
  }
)

/** Makes the locks of a store. Waits for one are bounded, whether a fiber of this process or another process holds it. */
export const make = (tryLock: TryLock = () => Effect.succeed(unshared)): Locked => {
  const keys = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  const semaphoreOf = (key: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const lock = keys.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
        lock.users += 1
        keys.set(key, lock)
        return lock
      }),
      (lock) =>
        Effect.sync(() => {
          lock.users -= 1
          if (lock.users === 0) keys.delete(key)
        })
    )

  const acquire = Effect.fnUntraced(function*(key: string) {
    const { semaphore } = yield* semaphoreOf(key)
    yield* Semaphore.takeScoped(semaphore, 1)
    return yield* untilHeld(tryLock(key))
  })

  return (key, effect) =>
    Effect.acquireUseRelease(
      Scope.make(),
      (scope) =>
        Effect.flatMap(
          acquire(key).pipe(
            Effect.timeoutOrElse({
              duration: lockTimeout,
              orElse: () =>
                Effect.fail(
                  failure({ operation: "lock", reason: "LockTimeout", description: `not free within ${lockTimeout}` })
                )
            }),
            Scope.provide(scope)
          ),
          (held) => held.run(effect)
        ),
      (scope, exit) => Scope.close(scope, exit)
    )
}
