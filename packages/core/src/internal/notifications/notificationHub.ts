/**
 * Notification hub: passes the notifications of a server to all current listeners, in order.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Notification } from "../../Notification.ts"
import { NotificationBuffer } from "./notificationBuffer.ts"

type Listener = (notification: Notification) => void

export class NotificationHub {
  #listeners: ReadonlyArray<Listener> = []
  readonly #onDropped: () => void
  #dropped = 0

  /** `onDropped` counts a notification that a slow listener lost. */
  constructor(onDropped: () => void) {
    this.#onDropped = onDropped
  }

  readonly publish: Listener = (notification) => {
    for (const listener of this.#listeners) listener(notification)
  }

  /** Returns a sentence about the notifications that were dropped because a listener was slow. */
  warnings(): ReadonlyArray<string> {
    return this.#dropped === 0 ? [] : [`sent more notifications than a listener took: ${this.#dropped} were dropped`]
  }

  /** Adds a listener. Returns its removal. */
  listen(listener: Listener): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }

  /** Buffers notifications for as long as the scope. */
  subscribe({ capacity, filter }: {
    readonly capacity: number
    readonly filter?: ((notification: Notification) => boolean) | undefined
  }): Effect.Effect<NotificationBuffer, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const offered = yield* Queue.sliding<void>(1)
      const buffer = new NotificationBuffer({
        capacity,
        offered,
        onDrop: () => {
          this.#dropped++
          this.#onDropped()
        }
      })
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          this.listen((notification) => {
            if (filter?.(notification) ?? true) buffer.offer(notification)
          })
        ),
        (remove) => Effect.sync(remove)
      )
      return buffer
    })
  }
}
