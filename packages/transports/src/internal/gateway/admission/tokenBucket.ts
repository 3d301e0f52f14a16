/**
 * Token bucket: admits requests at a rate, and twice as many of one second at once.
 */

/** How many tokens a bucket of a rate holds. */
export const capacityOf = (perSecond: number): number => 2 * perSecond

export class TokenBucket {
  readonly #perSecond: number
  #tokens: number
  #filledAt: number
  /** The number of tokens that were taken and not reported to the store that gateways share. */
  unreported = 0

  /** The bucket is full at `now`, in milliseconds of monotonic time. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#tokens = capacityOf(perSecond)
    this.#filledAt = now
  }

  /** Takes a token if there is one. */
  take(now: number): boolean {
    this.#fill(now)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Whether nothing would be lost if a new bucket took the place of this one. */
  isFull(now: number): boolean {
    this.#fill(now)
    return this.unreported === 0 && this.#tokens === capacityOf(this.#perSecond)
  }

  /** Takes over the tokens of the store, minus the tokens that were taken since the report. A negative number is a debt. */
  correct(tokens: number, now: number): void {
    this.#tokens = tokens - this.unreported
    this.#filledAt = now
  }

  #fill(now: number): void {
    const filled = this.#tokens + (now - this.#filledAt) / 1000 * this.#perSecond
    this.#tokens = Math.min(capacityOf(this.#perSecond), filled)
    this.#filledAt = now
  }
}
