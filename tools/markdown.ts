/**
 * Markdown that programs write and tests read back: tables, and the regions of pages between two marks.
 */
import { readFileSync, writeFileSync } from "node:fs"

type Cells = ReadonlyArray<string | number>

/** Formats a table whose first column is text. The others hold figures if `align` says so. */
export const table = (head: Cells, rows: ReadonlyArray<Cells>, align: "left" | "right" = "left"): string =>
  [head, head.map((_, column) => align === "right" && column > 0 ? "---:" : "---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")

export const cellsOf = (line: string): ReadonlyArray<string> => line.split("|").slice(1, -1).map((cell) => cell.trim())

const file = (path: string): URL => new URL(`../${path}`, import.meta.url)

/** Reads a file of the repository. */
export const read = (path: string): string => readFileSync(file(path), "utf8")

/** Writes a file of the repository. */
export const write = (path: string, text: string): void => writeFileSync(file(path), text)

const partsOf = (path: string, name: string): readonly [before: string, region: string, after: string] => {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const [before = "", rest = ""] = read(path).split(begin)
  const [region = "", after] = rest.split(end)
  if (after === undefined) throw new Error(`${path} has no region ${name}`)
  return [before + begin, region.trim(), end + after]
}

/** Reads the region of a page between `<!-- name:begin -->` and `<!-- name:end -->`. */
export const region = (path: string, name: string): string => partsOf(path, name)[1]

/** Replaces a region of a page. */
export const replace = (path: string, name: string, text: string): void => {
  const [before, , after] = partsOf(path, name)
  write(path, `${before}\n\n${text}\n\n${after}`)
}
