/**
 * Counts the texts of a channel that hold no JSON-RPC message, such as keep-alives of proxies, and quotes the first.
 */

/** How much of the first text is quoted, in characters. */
const quoteLimit = 200

/** How much of it is searched for secrets. Longer than any run of secrets that could hide in a quotation. */
const searchLimit = 64 * 1024

export class SkippedTexts {
  readonly #redact: (text: string) => string
  #count = 0
  #first = ""

  /** `redact` removes secrets. */
  constructor(redact: (text: string) => string) {
    this.#redact = redact
  }

  get count(): number {
    return this.#count
  }

  /** The beginning of the first text, quoted and without secrets. */
  get first(): string {
    return JSON.stringify(this.#first)
  }

  add(text: string): void {
    if (this.#count++ === 0) this.#first = this.#redact(text.slice(0, searchLimit)).slice(0, quoteLimit)
  }

  /** Returns the warning about texts of this name, such as `event`. */
  warnings(name: string): ReadonlyArray<string> {
    return this.#count === 0
      ? []
      : [`sent ${this.#count} ${name}${this.#count === 1 ? "" : "s"} without a JSON-RPC message, first: ${this.first}`]
  }
}
