/**
 * Stalls: detects that the process was paused, because it was frozen or starved of CPU.
 *
 * The callers of requests that waited in a socket may have stopped waiting, and the bucket may have another owner. The node refuses these requests,
 * and callers that still wait repeat them at the current owner. Clocks of different machines are not compared.
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
