/**
 * The fault table in the README and the tables of `docs/faults.md`: written from cells, and read back.
 */
import { cellsOf, region, replace, table } from "../../tools/markdown.ts"
import { clients, others } from "./allClients.ts"
import { faults } from "./Fault.ts"
import type { Cell } from "./observe.ts"

const page = "docs/faults.md"
const clientNames = Object.keys(clients)

const short = ({ measured, verdict }: Cell): string => measured === undefined ? verdict : `${verdict}, ${measured}`
const full = (cell: Cell): string => cell.detail === undefined ? short(cell) : `${short(cell)} (${cell.detail})`

/** Writes the cells of all faults, and in each of all clients. */
export const write = (cells: ReadonlyArray<ReadonlyArray<Cell>>): void => {
  const summary = faults.flatMap(({ name, rows }, index) => {
    const columns = cells.slice(index * clientNames.length, (index + 1) * clientNames.length)
    const body = columns.map((cells, client) => [clientNames[client] ?? "", ...cells.map(full)])
    replace(page, name, table(["client", ...rows.map(([title]) => title)], body))
    return rows.map((
      [title],
      row
    ) => [title, ...columns.map((cells) => cells[row] === undefined ? "" : short(cells[row]))])
  })
  const versions = others()
  const names = versions.map(([name, , version]) => `${name} ${version}`)
  replace("README.md", "faults", `${table(["", ...clientNames], summary)}\n\n${names.join(", ")}.`)
  replace(
    page,
    "clients",
    table(["client", "package", "version"], versions.map(([name, from, version]) => [name, `\`${from}\``, version]))
  )
}

const linesOf = (path: string, name: string) =>
  region(path, name).split("\n").filter((line) => line.startsWith("|")).map(cellsOf)

/** Reads the tables back: the clients, the titles with the verdicts of our own column, and the titles on the page. */
export const read = () => {
  const [head = [], , ...rows] = linesOf("README.md", "faults")
  return {
    clients: head.slice(1),
    rows: rows.map(([title = "", ours = ""]) => [title, ours.split(", ")[0] ?? ""] as const),
    titles: faults.flatMap(({ name }) => linesOf(page, name)[0]?.slice(1) ?? [])
  }
}
