/**
 * A set of things that come and go with each call.
 *
 * A `Set` grows a new table as they come and go, and each table that it has outgrown refers to the next. Once the oldest of them has
 * got old enough to be left alone by the quick collections of garbage, these have to look through all after it: measured, they took
 * twenty times as long. Here a thing knows its place in an array, and the last one takes the place of one that leaves.
 */

/** What can be in a bag. */
export interface InBag {
  /** Where it is in there; -1 if it is not. */
  place: number
}

export class Bag<A extends InBag> {
  readonly #things: Array<A> = []

  add(thing: A): void {
    thing.place = this.#things.push(thing) - 1
  }

  /** Removes a thing, if it is there. */
  remove(thing: A): void {
    const last = thing.place < 0 ? undefined : this.#things.pop()
    if (last === undefined) return
    if (last !== thing) {
      this.#things[thing.place] = last
      last.place = thing.place
    }
    thing.place = -1
  }

  /** All that are there, as they are now. */
  all(): ReadonlyArray<A> {
    return [...this.#things]
  }
}
