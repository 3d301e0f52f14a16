/**
 * Notification hub: passes the notifications of a server to all current listeners, in order.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Notification } from "../../Notification.ts"

type Listener = (notification: Notification) => void

export class NotificationHub {
  #listeners: ReadonlyArray<Listener> = []

  readonly publish: Listener = (notification) => {
    for (const listener of this.#listeners) listener(notification)
  }

  /** Adds a listener. Returns its removal. */
  listen(listener: Listener): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }

  /** Queues notifications for as long as the scope. Of those that a slow reader has not taken, the latest `capacity` are kept. */
  subscribe({ capacity, filter }: {
    readonly capacity: number
    readonly filter?: ((notification: Notification) => boolean) | undefined
  }): Effect.Effect<Queue.Queue<Notification>, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const queue = yield* Queue.sliding<Notification>(capacity)
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          this.listen((notification) => {
            if (filter?.(notification) ?? true) Queue.offerUnsafe(queue, notification)
          })
        ),
        (remove) => Effect.sync(remove)
      )
      return queue
    })
  }
}
