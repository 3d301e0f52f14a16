/**
 * The page `docs/servers.md`: written from rows, and read back into them.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { columns, type Row } from "./negotiate.ts"

const file = new URL("../../docs/servers.md", import.meta.url)

const introduction = `# Servers

Servers that other people wrote, and what a session with each of them comes to. \`npx -y pnpm@12 foreign\` starts them and writes this
page; \`test/foreign\` starts them too, and fails where one of them is not met as it says here. In each row one session listed the
tools, called one and checked the answer, pinged, and closed, whereupon no process and no socket of it was left.

\`protocol\` is what the definition asks for, \`era\` and \`revision\` are what was agreed on. The transport \`http\` is Streamable HTTP
with \`sseFallback\`. Servers "on" something are the smallest programs that use it (\`test/foreign/programs\`); examples are those inside
the package.

| remark                | means                                                                                        |
| --------------------- | -------------------------------------------------------------------------------------------- |
| exits on the probe    | the process ends when it is asked for its era; it is started again and met with \`initialize\` |
| no ping (code)        | \`ping\` is answered with that error, which is a sign of life like any other answer            |
| warned of | there are warnings in the \`info\` of the session (here: a notification was answered) |
| no session            | no \`Mcp-Session-Id\` is handed out                                                            |
| session given back    | the \`DELETE\` of the session was accepted                                                     |
| keeps its session (status) | the \`DELETE\` of the session was refused with that status                                |
| met over sse          | it was posted to first, and refused                                                          |

`

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |\n`

const cellsOf = (text: string): ReadonlyArray<string> => text.split("|").slice(1, -1).map((cell) => cell.trim())

export const write = (rows: ReadonlyArray<Row>): void => {
  const table = [columns, columns.map(() => "---"), ...rows.map((row) => columns.map((column) => row[column]))]
  writeFileSync(file, introduction + table.map(line).join(""))
}

export const read = (): ReadonlyArray<Row> => {
  const lines = readFileSync(file, "utf8").split("\n")
  const head = lines.findIndex((text) => cellsOf(text).join() === columns.join())
  return lines.slice(head + 2).filter((text) => text.startsWith("|")).map((text) => {
    const cells = cellsOf(text)
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ""])) as Row
  })
}
