/**
 * The table of `docs/servers.md`: written from rows, and read back into them.
 */
import { cellsOf, region, replace, table } from "../../tools/markdown.ts"
import type { Row } from "./negotiate.ts"

const columns = ["server", "package", "transport", "protocol", "era", "revision", "calls itself", "tools", "remarks"]

export const write = (rows: ReadonlyArray<Row>): void => replace("docs/servers.md", "servers", table(columns, rows))

export const read = (): ReadonlyArray<Row> => region("docs/servers.md", "servers").split("\n").slice(2).map(cellsOf)
