/**
 * Stalls: notices that the process stood still, because it was frozen or starved.
 *
 * What waited in a socket meanwhile may be given up by its caller, and may have another owner by now. A node refuses it, and the caller that
 * still waits sends it again to the owner there is. No clocks of two machines are compared.
 */

/** How often the watch ticks, how late a tick may be, and how long requests are refused after a stall, in milliseconds. */
const [tickInterval, delayLimit, refusalTime] = [100, 2000, 1000]

export class Stalls {
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #tickedAt: number
  #refusedUntil = 0

  /** `now` gives monotonic time in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
    this.#tickedAt = now()
    this.#timer = setInterval(() => this.#tick(), tickInterval)
    this.#timer.unref()
  }

  /** Whether what arrives now may have waited through a stall. */
  get isRefusing(): boolean {
    this.#look()
    return this.#now() < this.#refusedUntil
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    this.#look()
    this.#tickedAt = this.#now()
  }

  #look(): void {
    const now = this.#now()
    if (now - this.#tickedAt > delayLimit) {
      this.#refusedUntil = now + refusalTime
      this.#tickedAt = now
    }
  }
}
