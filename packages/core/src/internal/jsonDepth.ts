/**
 * Depth of JSON values, for values that were not parsed from bounded text: those of custom transports.
 */

/** How deep arrays and objects may be nested. Transports bound the JSON that they parse by the same depth. */
const maxDepth = 512

/** Whether arrays and objects are nested too deep for code that walks them recursively. Does not itself recur. */
export const isTooDeep = (value: unknown): boolean => {
  let level: Iterable<unknown> = [value]
  for (let depth = 0; depth <= maxDepth; depth++) {
    // An object may be in several places, or in itself.
    const nested = new Set<object>()
    for (const one of level) if (typeof one === "object" && one !== null) nested.add(one)
    if (nested.size === 0) return false
    level = [...nested].flatMap((one): ReadonlyArray<unknown> => Array.isArray(one) ? one : Object.values(one))
  }
  return true
}
