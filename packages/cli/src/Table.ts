/**
 * Formats text in columns.
 *
 * @since 0.1.0
 */
import { stripVTControlCharacters } from "./internal/text.ts"

/**
 * Pads cells to the width of their column. Colour codes do not count.
 *
 * @category rendering
 * @since 0.1.0
 */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const width = (cell: string) => stripVTControlCharacters(cell).length
  const widths = rows.reduce<ReadonlyArray<number>>(
    (widths, row) => row.map((cell, index) => Math.max(widths[index] ?? 0, width(cell))),
    []
  )
  return rows.map((row) =>
    row.map((cell, index) => cell + " ".repeat((widths[index] ?? 0) - width(cell))).join("  ").trimEnd()
  )
}

/**
 * Formats milliseconds as seconds.
 *
 * @category rendering
 * @since 0.1.0
 */
export const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)}s`
