/**
 * Single flight: runs one effect for all callers that wait for it at the same time, until the last of them has left.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

interface Running<A, E> {
  readonly fiber: Fiber.Fiber<A, E>
  waiting: number
}

export class SingleFlight<K, A, E> {
  readonly #running = new Map<K, Running<A, E>>()
  readonly #scope: Scope.Scope

  constructor(scope: Scope.Scope) {
    this.#scope = scope
  }

  has(key: K): boolean {
    return this.#running.has(key)
  }

  /** Runs the effect of a key, or waits for the one that runs. The effect is interrupted when nobody waits for it any more. */
  run(key: K, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const running = this.#running.get(key) ?? (yield* this.#start(key, effect))
        running.waiting++
        return yield* restore(Fiber.join(running.fiber)).pipe(
          Effect.ensuring(Effect.suspend(() => {
            if (--running.waiting > 0) return Effect.void
            this.#forget(key, running)
            return Fiber.interrupt(running.fiber)
          }))
        )
      })
    )
  }

  #start(key: K, effect: Effect.Effect<A, E>): Effect.Effect<Running<A, E>> {
    return Effect.map(Effect.forkIn(Effect.interruptible(effect), this.#scope), (fiber) => {
      const running: Running<A, E> = { fiber, waiting: 0 }
      this.#running.set(key, running)
      return running
    })
  }

  #forget(key: K, running: Running<A, E>): void {
    if (this.#running.get(key) === running) this.#running.delete(key)
  }
}
