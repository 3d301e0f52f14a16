/**
 * Passes what a server says of its own accord on to all who listen at that moment.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Notification } from "../../Notification.ts"

type Listener = (notification: Notification) => void

export interface Hub {
  readonly publish: Listener
  /** Listens for good. */
  readonly listen: (listener: Listener) => void
  /**
   * Listens for as long as the scope is open. A server may say more than its listeners can work on: the latest `capacity`
   * of what they have not come to yet are kept.
   */
  readonly subscribe: (options: {
    readonly capacity: number
    readonly isFor?: ((notification: Notification) => boolean) | undefined
  }) => Effect.Effect<Queue.Queue<Notification>, never, Scope.Scope>
}

export const make = (): Hub => {
  const listeners = new Set<Listener>()
  return {
    publish: (notification) => {
      for (const listener of listeners) listener(notification)
    },
    listen: (listener) => void listeners.add(listener),
    subscribe: ({ capacity, isFor }) =>
      Effect.gen(function*() {
        const queue = yield* Queue.sliding<Notification>(capacity)
        const listener: Listener = (notification) => {
          if (isFor?.(notification) ?? true) Queue.offerUnsafe(queue, notification)
        }
        yield* Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        )
        return queue
      })
  }
}
