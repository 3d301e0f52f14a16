/**
 * Suggests the intended name for a mistyped one.
 *
 * **Example** (Suggesting a key)
 *
 * ```ts import.meta.vitest
 * import { Suggestion } from "@mcp-sessions/core"
 *
 * Suggestion.closest("comand", ["command", "args", "env"]) // => "command"
 * ```
 *
 * @since 0.1.0
 */

/** Edit distance: the number of insertions, deletions, replacements and swaps of neighbours between two texts. */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  let before: ReadonlyArray<number> = []
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swapped = isSwap ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}

/** The longest name that is compared, in characters: the time grows with the product of both lengths. */
const maxLength = 256

/** How many edits lie between two names that are similar. */
const allowance = (length: number): number => Math.max(1, length / 3)

/** Whether two names are so long, so short or so different in length that neither is meant by the other. */
const isFar = (given: string, name: string): boolean => {
  const [shorter = 0, longer = 0] = [given.length, name.length].toSorted((one, other) => one - other)
  return shorter <= 2 || longer > maxLength || longer - shorter > allowance(shorter)
}

/**
 * Returns the name that is most similar to `given`, if one is similar enough. Names of more than 256 characters are similar to none.
 *
 * @category getters
 * @since 0.1.0
 */
export const closest = (
  ...[given, names]: readonly [given: string, names: ReadonlyArray<string>]
): string | undefined =>
  names
    .filter((name) => !isFar(given, name))
    .map((name) => ({ name, distance: distance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance, name }) => distance <= allowance(Math.min(given.length, name.length)))
    .toSorted((a, b) => a.distance - b.distance)[0]?.name
