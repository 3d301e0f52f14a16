/**
 * The table of `docs/servers.md`: written from rows, and read back into them.
 */
import { cellsOf, region, replace, table } from "../../tools/markdown.ts"
import { columns, type Row } from "./negotiate.ts"

export const write = (rows: ReadonlyArray<Row>): void =>
  replace("docs/servers.md", "servers", table(columns, rows.map((row) => columns.map((column) => row[column]))))

export const read = (): ReadonlyArray<Row> =>
  region("docs/servers.md", "servers").split("\n").slice(2).map((line) => {
    const cells = cellsOf(line)
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ""])) as Row
  })
