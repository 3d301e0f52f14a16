/**
 * Kept messages: what a gateway keeps for its clients, until they resume a stream or open one. All clients share one bound.
 */

/** How many characters a gateway keeps for all its clients. */
const totalLimit = 64 * 1024 ** 2

/** Keeps messages, and can forget them. */
export interface Keeper {
  /** How many characters it keeps. */
  readonly size: number
  /** Forgets all messages that it keeps. */
  forget(): void
}

export class KeptMessages {
  readonly #limit: number
  #total = 0
  /** Those that keep something, the one that began first before the others. */
  readonly #keepers = new Set<Keeper>()

  /** `limit` is in characters. */
  constructor(limit: number = totalLimit) {
    this.#limit = limit
  }

  /** Counts characters that a keeper has added. While there are too many, the keepers that began first forget theirs. */
  add(keeper: Keeper, size: number): void {
    this.#total += size
    this.#keepers.add(keeper)
    for (const one of this.#keepers) {
      if (this.#total <= this.#limit) return
      one.forget()
    }
  }

  /** Counts characters that a keeper has forgotten. */
  remove(keeper: Keeper, size: number): void {
    this.#total -= size
    if (keeper.size === 0) this.#keepers.delete(keeper)
  }
}
