/**
 * Keeps retries from making things worse: when much fails, little of it is tried again.
 *
 * A bucket of tokens for each server. A retry takes one, a success puts a tenth back; where there is none left, failures are
 * final. At a failure rate of 100 % that adds 10 tries in all, however many calls there are.
 */

/** How many retries a server is given in advance. */
const capacity = 10

/** How much of a retry each success earns. */
const earned = 0.1

export class RetryBudget {
  #tokens = capacity

  /** Notes a success. */
  earn(): void {
    if (this.#tokens < capacity) this.#tokens = Math.min(capacity, this.#tokens + earned)
  }

  /** Takes what a retry costs, if that is there. */
  spend(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
