/**
 * A number of permits, at no cost to those who find one free. The others wait, and owners take turns among them.
 *
 * A semaphore costs as much as the rest of a call does, so it holds no permits here: it is the line of those who wait, and each
 * permit that is given back while anyone does goes through it.
 */
import * as Effect from "effect/Effect"
import * as PartitionedSemaphore from "effect/PartitionedSemaphore"

export class Permits {
  readonly #limit: number
  #used = 0
  #waiting = 0
  #line: PartitionedSemaphore.PartitionedSemaphore<string> | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many are taken. */
  get used(): number {
    return this.#used
  }

  get isFree(): boolean {
    return this.#used < this.#limit
  }

  /** Takes one that is free. */
  tryTake(): boolean {
    if (!this.isFree) return false
    this.#used++
    return true
  }

  /** Waits for one. `onTaken` is called at the moment in which it is. */
  wait(owner: string, onTaken: () => void): Effect.Effect<void> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (this.tryTake()) return Effect.sync(onTaken)
        const line = this.#line ??= this.#drained()
        this.#waiting++
        return restore(line.take(owner, 1)).pipe(
          Effect.onExit(() => Effect.sync(() => void this.#waiting--)),
          Effect.andThen(Effect.sync(onTaken))
        )
      })
    )
  }

  /** Gives one back. */
  release(): Effect.Effect<void> {
    if (this.#waiting === 0) {
      this.#used--
      return Effect.void
    }
    // Whoever waits now may have left by the time that this runs.
    return Effect.suspend(() =>
      this.#waiting > 0 && this.#line !== undefined ? Effect.asVoid(this.#line.release(1)) : this.release()
    )
  }

  #drained(): PartitionedSemaphore.PartitionedSemaphore<string> {
    const line = PartitionedSemaphore.makeUnsafe<string>({ permits: this.#limit })
    Effect.runSync(line.take("", this.#limit))
    return line
  }
}
