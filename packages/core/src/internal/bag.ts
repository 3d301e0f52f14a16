/**
 * Bag: an unordered collection whose items know their index, for items that come and go with each call.
 *
 * A `Set` allocates a new table each time that it has grown, and each outgrown table refers to the next, which made minor garbage
 * collections twenty times slower.
 */

export interface InBag {
  /** The index in the bag; -1 outside of one. Written by {@link Bag} alone. */
  place: number
}

export class Bag<A extends InBag> {
  readonly #items: Array<A> = []

  add(item: A): void {
    item.place = this.#items.push(item) - 1
  }

  /** Removes an item. Does nothing if it is not in the bag. */
  remove(item: A): void {
    const last = item.place < 0 ? undefined : this.#items.pop()
    if (last === undefined) return
    if (last !== item) {
      this.#items[item.place] = last
      last.place = item.place
    }
    item.place = -1
  }

  get size(): number {
    return this.#items.length
  }

  /** Whether an item fulfils a predicate. */
  some(predicate: (item: A) => boolean): boolean {
    return this.#items.some(predicate)
  }

  /** A copy of the current items. */
  all(): ReadonlyArray<A> {
    return [...this.#items]
  }
}
