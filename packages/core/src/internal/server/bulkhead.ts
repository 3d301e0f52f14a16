/**
 * Bulkhead: a limited number of permits, for requests in flight. Taking a free permit costs a counter; waiters are served owner by owner
 * in turn.
 *
 * A semaphore costs as much as the rest of a call, so it holds no permits here. It is the queue of waiters only: while there are waiters,
 * each released permit goes through it.
 */
import * as Effect from "effect/Effect"
import * as PartitionedSemaphore from "effect/PartitionedSemaphore"

export class Bulkhead {
  readonly #limit: number
  #used = 0
  #waiting = 0
  #queue: PartitionedSemaphore.PartitionedSemaphore<string> | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** The number of permits that are taken. */
  get used(): number {
    return this.#used
  }

  get isFree(): boolean {
    return this.#used < this.#limit
  }

  /** Takes a permit if one is free. */
  tryTake(): boolean {
    if (!this.isFree) return false
    this.#used++
    return true
  }

  /** Waits for a permit. Calls `onTaken` in the moment in which it is taken. */
  wait(owner: string, onTaken: () => void): Effect.Effect<void> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (this.tryTake()) return Effect.sync(onTaken)
        const queue = this.#queue ??= this.#emptyQueue()
        this.#waiting++
        return restore(queue.take(owner, 1)).pipe(
          Effect.onExit(() => Effect.sync(() => void this.#waiting--)),
          Effect.andThen(Effect.sync(onTaken))
        )
      })
    )
  }

  /** Releases a permit. Returns the effect that hands it to a waiter, if there may be one. */
  release(): Effect.Effect<void> | undefined {
    if (this.#waiting === 0) {
      this.#used--
      return undefined
    }
    // A waiter may have left by the time that this runs.
    return Effect.suspend(() =>
      this.#waiting > 0 && this.#queue !== undefined
        ? Effect.asVoid(this.#queue.release(1))
        : this.release() ?? Effect.void
    )
  }

  #emptyQueue(): PartitionedSemaphore.PartitionedSemaphore<string> {
    const queue = PartitionedSemaphore.makeUnsafe<string>({ permits: this.#limit })
    Effect.runSync(queue.take("", this.#limit))
    return queue
  }
}
