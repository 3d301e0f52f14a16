/**
 * State listeners: those that follow the state of one connection.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { ConnectionState } from "../../ConnectionState.ts"

export class StateListeners {
  #listeners: Set<(state: ConnectionState) => void> | undefined

  emit(state: ConnectionState): void {
    this.#listeners?.forEach((listener) => listener(state))
  }

  /** The current state, and each later one until `Closed`. */
  changes(current: () => ConnectionState): Stream.Stream<ConnectionState> {
    const listen = Effect.gen({ self: this }, function*() {
      const queue = yield* Queue.unbounded<ConnectionState>()
      const listener = (state: ConnectionState) => void Queue.offerUnsafe(queue, state)
      const listeners = this.#listeners ??= new Set()
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          listener(current())
          listeners.add(listener)
        }),
        () => Effect.sync(() => listeners.delete(listener))
      )
      return Stream.fromQueue(queue)
    })
    return Stream.takeUntil(Stream.unwrap(listen), ({ _tag }) => _tag === "Closed")
  }
}
