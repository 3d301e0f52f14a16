/**
 * Leases of a pool: the holder of each session and the start of its lease, so that leaks can be reported.
 */
import type { Span } from "effect/Tracer"

export interface Lease {
  readonly owner: string
  readonly since: number
  /** The span in which the lease was taken, if it was traced. */
  readonly span: Span | undefined
}

/** The leases that are held and were not reported as leaks. */
export class Leases {
  /** Oldest first. */
  readonly #held = new Set<Lease>()
  readonly #leakMillis: number

  /** With `leakMillis` of 0 no lease is a leak. */
  constructor(leakMillis: number) {
    this.#leakMillis = leakMillis
  }

  add(lease: Lease): void {
    this.#held.add(lease)
  }

  end(lease: Lease): void {
    this.#held.delete(lease)
  }

  /** When the next lease becomes a leak, in milliseconds of monotonic time. */
  nextLeakAt(): number {
    const [oldest] = this.#held
    return this.#leakMillis === 0 || oldest === undefined ? Number.POSITIVE_INFINITY : oldest.since + this.#leakMillis
  }

  /** Takes the leases that have become leaks, each once. */
  takeLeaks(now: number): ReadonlyArray<Lease> {
    const leaks: Array<Lease> = []
    for (const lease of this.#leakMillis === 0 ? [] : this.#held) {
      if (lease.since + this.#leakMillis > now) break
      this.#held.delete(lease)
      leaks.push(lease)
    }
    return leaks
  }
}
