/**
 * Open resources: what the sessions of a program have opened, and close with themselves unless it is closed before.
 */
import * as Effect from "effect/Effect"
import { type Closeable, closeable } from "./promiseRuntime.ts"

export class OpenResources {
  readonly #open = new Set<() => Promise<void>>()

  /** Adds a resource until it is closed. */
  readonly add = (close: () => Promise<void>): Closeable => {
    const closeOnce = () => {
      this.#open.delete(closeOnce)
      return close()
    }
    this.#open.add(closeOnce)
    return closeable(closeOnce)
  }

  /** Closes those that are still open. */
  readonly closeAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.asVoid(Effect.promise(() => Promise.allSettled([...this.#open].map((close) => close()))))
  )
}
