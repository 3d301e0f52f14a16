/**
 * The table in the README and the page `docs/faults.md`: written from cells, and read back.
 */
import { cellsOf, read as readFile, region, replace, table, wrap, write as writeFile } from "../../tools/markdown.ts"
import { type Cell, type Fault, faults, outcomeTimeout } from "./Fault.ts"
import type { Peer } from "./Peer.ts"

const page = "docs/faults.md"

/** The cells of one client, by the name of the fault. */
export interface Column {
  readonly peer: Peer
  readonly cells: ReadonlyMap<string, ReadonlyArray<Cell>>
}

const short = ({ measured, verdict }: Cell): string => measured === undefined ? verdict : `${verdict}, ${measured}`
const full = (cell: Cell): string => cell.detail === undefined ? short(cell) : `${short(cell)} (${cell.detail})`

const cellIn = ({ cells }: Column, { name }: Fault, row: number): Cell => {
  const cell = cells.get(name)?.[row]
  if (cell === undefined) throw new Error(`${name} has no cell for its row ${row}`)
  return cell
}

const titlesOf = ({ rows }: Fault): ReadonlyArray<string> => rows.map(([title]) => title)

const introduction = `# Faults

What clients do when servers fail. \`npx -y pnpm@12 faults\` installs the clients, does what is described here, and writes this page and
the table in the [README](../README.md#what-happens-when-things-break). Each fault meets each client in a process of its own, on servers
that are processes, over pipes or loopback. Only the server counts how often a tool ran. Failures are named by what a program can tell
them by: their tag or their class, with the code if there is one. \`pending\` means no outcome within ${
  outcomeTimeout / 1000
} seconds.

Clients are used through their public API as their documentation shows, with what it recommends turned on (\`test/peers\`). Tools are
listed once and kept, as agents do.
`

export const write = (columns: ReadonlyArray<Column>): void => {
  const others = columns.map(({ peer }) => peer).filter((peer) => !peer.package.startsWith("@mcp-sessions/"))
  const summary = table(
    ["", ...columns.map(({ peer }) => peer.name)],
    faults.flatMap((fault) =>
      titlesOf(fault).map((title, row) => [title, ...columns.map((column) => short(cellIn(column, fault, row)))])
    )
  )
  replace("README.md", "faults", `${summary}\n\n${others.map(({ name, version }) => `${name} ${version}`).join(", ")}.`)
  const packages = table(
    ["client", "package", "version"],
    others.map(({ name, package: from, version }) => [name, `\`${from}\``, version])
  )
  const sections = faults.map((fault) => {
    const cells = (column: Column) => titlesOf(fault).map((_, row) => full(cellIn(column, fault, row)))
    const rows = columns.map((column) => [column.peer.name, ...cells(column)])
    return `## ${fault.name}\n\n${wrap(fault.does)}\n\n${table(["client", ...titlesOf(fault)], rows)}\n`
  })
  writeFile(page, [introduction, packages, "", ...sections].join("\n"))
}

/** Reads the table back: the clients, and the titles with the verdicts of our own column. */
export const read = () => {
  const [head = "", , ...rows] = region("README.md", "faults").split("\n").filter((line) => line.startsWith("|"))
  return {
    clients: cellsOf(head).slice(1),
    rows: rows.map((row) => {
      const [title = "", ours = ""] = cellsOf(row)
      return [title, ours.split(", ")[0] ?? ""] as const
    }),
    sections: readFile(page).split("\n## ").slice(1).map((section) => {
      const [name = "", does = "", text = ""] = section.split("\n\n")
      return [name, does.replaceAll("\n", " "), cellsOf(text.split("\n")[0] ?? "").slice(1)] as const
    })
  }
}
