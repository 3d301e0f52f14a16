/**
 * Formats text in columns.
 *
 * @since 0.1.0
 */
import { join, type Shown, trusted } from "./Shown.ts"

/**
 * Pads cells to the width of their column. Colour codes do not count.
 *
 * @category rendering
 * @since 0.1.0
 */
export const columns = (rows: ReadonlyArray<ReadonlyArray<Shown>>): ReadonlyArray<Shown> => {
  const widths = rows.reduce<ReadonlyArray<number>>(
    (widths, row) => row.map(({ width }, index) => Math.max(widths[index] ?? 0, width)),
    []
  )
  return rows.map((row) => {
    const last = row.findLastIndex(({ width }) => width > 0)
    return join(
      row.slice(0, last + 1).map((cell, index) => index === last ? cell : padEnd(cell, widths[index] ?? 0)),
      "  "
    )
  })
}

/**
 * Pads a text to a width. Colour codes do not count.
 *
 * @category rendering
 * @since 0.1.0
 */
export const padEnd = (...[shown, width]: readonly [shown: Shown, width: number]): Shown =>
  join([shown, trusted(" ".repeat(Math.max(0, width - shown.width)))], "")

/**
 * Formats milliseconds as seconds.
 *
 * @category rendering
 * @since 0.1.0
 */
export const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)}s`
