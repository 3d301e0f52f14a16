/**
 * The table in the README and the page `docs/faults.md`: written from cells, and read back.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { type Cell, type Fault, faults, patience } from "./Fault.ts"
import type { Peer } from "./Peer.ts"

const readme = new URL("../../README.md", import.meta.url)
const page = new URL("../../docs/faults.md", import.meta.url)
const [begin, end] = ["<!-- faults:begin -->", "<!-- faults:end -->"]

/** What came of all faults on one client. */
export interface Column {
  readonly peer: Peer
  readonly cells: (fault: Fault) => ReadonlyArray<Cell>
}

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |\n`

const tableOf = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map(line).join("")

const short = ({ measured, verdict }: Cell): string => measured === undefined ? verdict : `${verdict}, ${measured}`

const full = (cell: Cell): string => cell.detail === undefined ? short(cell) : `${short(cell)} (${cell.detail})`

const cellIn = ({ cells }: Column, fault: Fault, row: number): Cell => {
  const cell = cells(fault)[row]
  if (cell === undefined) throw new Error(`${fault.name} has no cell for its row ${row}`)
  return cell
}

/** A client of others with its version, as the README names it. */
export const versionOf = ({ name, version }: Peer): string => `${name} ${version}`

const isOurs = (peer: Peer): boolean => peer.package.startsWith("@mcp-sessions/")

const introduction = `# Faults

What becomes of clients when servers fail. \`npx -y pnpm@12 faults\` does these things and writes this page and the table in the
[README](../README.md#what-happens-when-things-break). Each fault meets each client in a process of its own, on servers that are
processes, over pipes or loopback. How often a tool ran is counted by the server alone. Failures are named by what a program can tell
them by: their tag or their class, with the code if there is one. \`pending\` is no end within ${
  patience / 1000
} seconds.

Clients are used by their public API as their documentation shows, with what it recommends turned on (\`test/peers/clients\`); tools are
had once and kept, as agents do.
`

export const write = (columns: ReadonlyArray<Column>): void => {
  const peers = columns.map(({ peer }) => peer)
  const others = peers.filter((peer) => !isOurs(peer))
  const summary = tableOf(
    ["", ...peers.map(({ name }) => name)],
    faults.flatMap((fault) =>
      fault.rows.map(({ title }, row) => [title, ...columns.map((column) => short(cellIn(column, fault, row)))])
    )
  )
  const text = readFileSync(readme, "utf8")
  const [before, rest = ""] = text.split(begin)
  const after = rest.split(end)[1]
  if (after === undefined) throw new Error("the README has no place for the table")
  const versions = others.map(versionOf).join(", ")
  writeFileSync(readme, `${before}${begin}\n\n${summary}\n${versions}.\n\n${end}${after}`)
  const sections = faults.map((fault) =>
    `## ${fault.name}\n\n${wrap(fault.does)}\n\n${
      tableOf(
        ["client", ...fault.rows.map(({ title }) => title)],
        columns.map((column) => [column.peer.name, ...fault.rows.map((_, row) => full(cellIn(column, fault, row)))])
      )
    }`
  )
  const packages = tableOf(
    ["client", "package", "version"],
    others.map(({ name, package: from, version }) => [name, `\`${from}\``, version])
  )
  writeFileSync(page, `${introduction}\n${packages}\n${sections.join("\n")}`)
}

/** The lines of a paragraph, as long as those of the other pages. */
const wrap = (text: string): string => text.replace(/(.{1,130})(?: |$)/g, "$1\n").trimEnd()

const cellsOf = (text: string): ReadonlyArray<string> => text.split("|").slice(1, -1).map((cell) => cell.trim())

const verdictIn = (cell: string): string => cell.split(", ")[0] ?? ""

export interface Written {
  /** The names of the clients. */
  readonly clients: ReadonlyArray<string>
  /** The titles with what came of our own client, without what was measured. */
  readonly rows: ReadonlyArray<readonly [title: string, verdict: string]>
  /** What names the versions of the clients of others. */
  readonly versions: string
  /** What is done, by fault, with the titles of its rows. */
  readonly sections: ReadonlyArray<readonly [name: string, does: string, titles: ReadonlyArray<string>]>
}

export const read = (): Written => {
  const [summary, details] = [readme, page].map((file) => readFileSync(file, "utf8"))
  const lines = (summary?.split(begin)[1]?.split(end)[0] ?? "").trim().split("\n")
  const [head = "", , ...rows] = lines.filter((text) => text.startsWith("|"))
  const versions = lines.at(-1) ?? ""
  return {
    clients: cellsOf(head).slice(1),
    rows: rows.map((row) => {
      const [title = "", ours = ""] = cellsOf(row)
      return [title, verdictIn(ours)]
    }),
    versions,
    sections: (details ?? "").split("\n## ").slice(1).map((section) => {
      const [name = "", does = "", table = ""] = section.split("\n\n")
      return [name, does.replaceAll("\n", " "), cellsOf(table.split("\n")[0] ?? "").slice(1)]
    })
  }
}
