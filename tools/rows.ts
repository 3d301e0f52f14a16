/**
 * Writes `docs/threats.md` from the titles of the tests: `pnpm rows`, after a title has got a row or lost one.
 */
import * as Fs from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** Where the page is. */
export const file = join(root, "docs/threats.md")

const introduction = `Which test shows what: faults (F), threats (T), acceptance scenarios (A), what others fail at (E)
and what the tests of others assert (P), by number, written by \`npx -y pnpm@12 rows\` from the titles of the tests.`

const literal = /(describe(?:\.concurrent)?\(\s*)?("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)/g
const tagged = /^(.*?)((?: \[[FTAEP]\d+b?(?: [ivx]+)?\])+)$/s
const comment = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm

interface Shown {
  readonly row: string
  readonly title: string
  readonly test: string
}

/** What the titles in a file name. A title is a literal that ends with rows; that of a scenario begins with its own. */
const rowsIn = (test: string): ReadonlyArray<Shown> => {
  let about = ""
  const source = Fs.readFileSync(join(root, test), "utf8").replaceAll(comment, "")
  return Array.from(source.matchAll(literal)).flatMap(([, describe, quoted = ""]) => {
    const text = quoted.slice(1, -1).replaceAll(/\$\{[^}]*\}/g, "…").replaceAll(/\\(.)/g, "$1")
    if (describe !== undefined) {
      about = text
      const [, row] = /^(A\d+): /.exec(text) ?? []
      return row === undefined ? [] : [{ row, title: text, test }]
    }
    const [, title = "", rows = ""] = tagged.exec(text) ?? []
    return Array.from(rows.matchAll(/\[(.*?)\]/g), ([, row = ""]) => ({
      row,
      title: about === "" ? title : `${about} › ${title}`,
      test
    }))
  })
}

const placeOf = ({ row }: Shown): readonly [kind: number, number: number] => [
  "FTAEP".indexOf(row.charAt(0)),
  Number.parseInt(row.slice(1))
]

const byRow = (one: Shown, other: Shown): number => {
  const [kind, number] = placeOf(one)
  const [otherKind, otherNumber] = placeOf(other)
  return kind - otherKind || number - otherNumber
}

/** The page as it should be. */
export const page = (): string => {
  const shown = Fs.globSync("test/**/*.test.ts", { cwd: root, exclude: ["**/node_modules"] }).toSorted().flatMap(rowsIn)
  const cells = shown.toSorted(byRow).map(({ row, test, title }) => [row, title.replaceAll("|", "\\|"), test])
  const table = [["row", "test", "file"], ...cells]
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((line) => line[column]?.length ?? 0)))
  const lines = [table[0] ?? [], widths.map((width) => "-".repeat(width)), ...cells].map((line) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`
  )
  return `# Threats\n\n${introduction}\n\n${lines.join("")}`
}

if (import.meta.main) Fs.writeFileSync(file, page())
