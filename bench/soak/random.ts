/**
 * Chance that can be repeated: the same seed gives the same calls and the same order of faults.
 */

/** A number from 0 up to 1. */
export type Random = () => number

/** Mulberry32: small, and good enough to mix things up. */
export const make = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Some element of a list. */
export const pick = <A>(options: { readonly random: Random; readonly from: ReadonlyArray<A> }): A =>
  options.from[Math.floor(options.random() * options.from.length)] as A

/** All elements in another order. */
export const shuffled = <A>(options: { readonly random: Random; readonly from: ReadonlyArray<A> }): Array<A> =>
  options.from
    .map((element) => ({ element, place: options.random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ element }) => element)
