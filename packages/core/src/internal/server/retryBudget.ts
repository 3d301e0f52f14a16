/**
 * Retry budget of one server: a token bucket that keeps retries from multiplying the load of a failing server.
 *
 * A retry takes one token, a success puts back a tenth. When the bucket is empty, failures are final. At a failure rate of 100 % that
 * adds 10 retries in all, for any number of calls.
 */

/** The tokens of a full bucket. A new server has a full one. */
const capacity = 10

const earnedPerSuccess = 0.1

export class RetryBudget {
  #tokens = capacity

  /** Records a success. */
  earn(): void {
    if (this.#tokens < capacity) this.#tokens = Math.min(capacity, this.#tokens + earnedPerSuccess)
  }

  /** Takes the token for a retry. Returns whether there was one. */
  spend(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
