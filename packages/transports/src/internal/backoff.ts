/**
 * The time before a stream is opened again, whatever the server wishes for.
 *
 * A stream that opens and closes at once has not succeeded: the time grows with each that did not last, and starts over
 * after one that did.
 */

const bounds = { first: 500, last: 60_000 }

/** How long a stream has to last to count, in milliseconds. */
const lasting = 60_000

export class Backoff {
  #failures = 0
  #last = Number.NEGATIVE_INFINITY

  /** How many in a row did not last. */
  get failures(): number {
    return this.#failures
  }

  /** The time to wait at `now`, in milliseconds. `wish` is what the server asked for, if it did. */
  next(now: number, wish: number | undefined): number {
    this.#failures = now - this.#last > lasting + this.#grown() ? 0 : this.#failures + 1
    this.#last = now
    return Math.min(Math.max(this.#grown(), wish !== undefined && Number.isFinite(wish) ? wish : 0), bounds.last)
  }

  #grown(): number {
    return Math.min(bounds.first * 2 ** this.#failures, bounds.last)
  }
}
