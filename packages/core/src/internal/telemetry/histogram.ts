/**
 * Histogram of durations: plain numbers, so that an observation costs an addition or two.
 */
import { durationBuckets } from "../../Telemetry.ts"

export class Histogram {
  readonly #counts: Array<number> = durationBuckets.map(() => 0)
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY

  /** Observes a duration in seconds. */
  observe(seconds: number): void {
    this.#count++
    this.#sum += seconds
    if (seconds < this.#min) this.#min = seconds
    if (seconds > this.#max) this.#max = seconds
    for (let index = 0; index < durationBuckets.length; index++) {
      if (seconds > (durationBuckets[index] as number)) continue
      this.#counts[index] = (this.#counts[index] as number) + 1
      return
    }
  }

  /** The state as metrics of Effect have it: each bucket counts the observations up to its bound. */
  get state() {
    let below = 0
    const buckets = durationBuckets.map((bound, index) => {
      below += this.#counts[index] as number
      return [bound, below] as [number, number]
    })
    return { buckets, count: this.#count, sum: this.#sum, min: this.#min, max: this.#max }
  }
}
