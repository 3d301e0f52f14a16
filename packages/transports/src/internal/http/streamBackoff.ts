/**
 * Backoff between the attempts to open a stream again, within bounds that the server cannot change.
 *
 * A stream that opens and closes at once has not succeeded: the delay doubles with each short stream, and starts over after a long one.
 */

const bounds = { first: 500, last: 60_000 }

/** How long a stream has to stay open to count as a success, in milliseconds. */
const stableAfter = 60_000

export class Backoff {
  #failures = 0
  #last = Number.NEGATIVE_INFINITY

  /** The number of short streams in a row. */
  get failures(): number {
    return this.#failures
  }

  /** Returns the delay at `now`, in milliseconds. `requested` is the delay that the server asked for, if any. */
  next(now: number, requested: number | undefined): number {
    this.#failures = now - this.#last > stableAfter + this.#delay() ? 0 : this.#failures + 1
    this.#last = now
    const atLeast = requested !== undefined && Number.isFinite(requested) ? requested : 0
    return Math.min(Math.max(this.#delay(), atLeast), bounds.last)
  }

  #delay(): number {
    return Math.min(bounds.first * 2 ** this.#failures, bounds.last)
  }
}
