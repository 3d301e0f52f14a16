/**
 * Counts events that hold no JSON-RPC message, such as keep-alives of proxies, and reports them as a warning.
 */

/** How much of the first one a warning quotes, in characters. */
const quoteLimit = 100

export class SkippedEvents {
  #count = 0
  #first = ""

  /** Counts an event. `text` is free of secrets. */
  add(text: string): void {
    if (this.#count++ === 0) this.#first = text.slice(0, quoteLimit)
  }

  warnings(): ReadonlyArray<string> {
    return this.#count === 0
      ? []
      : [
        `sent ${this.#count} ${
          this.#count === 1 ? "event" : "events"
        } without a JSON-RPC message, first: ${this.#first}`
      ]
  }
}
