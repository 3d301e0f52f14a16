/**
 * Bulkhead: a limited number of permits, for requests in flight. Taking a free permit costs a counter; waiters are served owner by owner
 * in turn.
 *
 * A released permit goes to a waiter in the same step, without an effect. A permit therefore belongs to one holder at every moment, and the
 * interruption of a fiber cannot lose it.
 */
import * as Effect from "effect/Effect"

interface Waiter {
  readonly onTaken: () => void
  readonly resume: () => void
}

export class Bulkhead {
  readonly #limit: number
  #used = 0
  /** The waiters of each owner. The owner that is served next comes first. */
  readonly #waiting = new Map<string, Set<Waiter>>()
  #isGranting = false

  constructor(limit: number) {
    this.#limit = limit
  }

  /** The number of permits that are taken. */
  get used(): number {
    return this.#used
  }

  get isFree(): boolean {
    return this.#used < this.#limit && this.#waiting.size === 0
  }

  /** Takes a permit if one is free. */
  tryTake(): boolean {
    if (!this.isFree) return false
    this.#used++
    return true
  }

  /** Waits for a permit. Calls `onTaken` in the moment in which it is taken. */
  wait(owner: string, onTaken: () => void): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.tryTake()) {
        onTaken()
        return resume(Effect.void)
      }
      const waiter: Waiter = { onTaken, resume: () => resume(Effect.void) }
      const waiters = this.#waiting.get(owner)
      if (waiters === undefined) this.#waiting.set(owner, new Set([waiter]))
      else waiters.add(waiter)
      return Effect.sync(() => this.#leave(owner, waiter))
    })
  }

  /** Releases a permit. If there are waiters, the first of the next owner gets it. */
  release(): void {
    this.#used--
    // A waiter that is served may release its permit before it returns. The loop below serves the next one then.
    if (this.#isGranting || this.#waiting.size === 0) return
    this.#isGranting = true
    while (this.#used < this.#limit) {
      const waiter = this.#next()
      if (waiter === undefined) break
      this.#used++
      waiter.onTaken()
      waiter.resume()
    }
    this.#isGranting = false
  }

  #next(): Waiter | undefined {
    for (const [owner, waiters] of this.#waiting) {
      for (const waiter of waiters) {
        waiters.delete(waiter)
        this.#waiting.delete(owner)
        if (waiters.size > 0) this.#waiting.set(owner, waiters)
        return waiter
      }
    }
    return undefined
  }

  #leave(owner: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(owner)
    if (waiters?.delete(waiter) === true && waiters.size === 0) this.#waiting.delete(owner)
  }
}
