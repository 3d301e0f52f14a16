/**
 * Lets the clients of other people use a gateway over two servers, and writes the table of `docs/gateway.md` (`pnpm clients:gateway`). Read what
 * has changed before you commit it.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { OpenAtGateway } from "./GatewayClient.ts"
import { clientsAtGateway, type Row, write } from "./page.ts"
import { openWire, type Wire } from "./wire.ts"

const manifestOf = (name: string): string => findPackageJSON(name, import.meta.url) ?? ""
const programOf = (server: string): string =>
  join(dirname(manifestOf(`@modelcontextprotocol/server-${server}`)), "dist/index.js")

const [resource, resourceText] = ["demo://resource/static/document/architecture.md", "Everything Server"] as const

/** Gives `yes`, or what went wrong. */
const attempt = async (run: () => Promise<void>): Promise<string> => {
  try {
    await run()
    return "yes"
  } catch (error) {
    console.error(error)
    return `no: ${String(error instanceof Error ? error.message : error).split("\n", 1)}`
  }
}

const includes = (value: unknown, text: string): void => assert.ok(JSON.stringify(value).includes(text), text)

const endOf = ({ sessions: { begun, ended } }: Wire): string =>
  begun.size === 0 ? "has none" : [...begun].every((id) => ended.has(id)) ? "yes" : "no, it expires"

const visit = async (open: OpenAtGateway, { directory, wire }: {
  readonly wire: Wire
  readonly directory: string
}): Promise<ReadonlyArray<string>> => {
  const session = await open(wire.url)
  const { reports } = session
  const lists = await attempt(async () => {
    const names = await session.list()
    for (const name of ["everything_get-sum", "files_read_text_file"]) assert.ok(names.includes(name), name)
  })
  const calls = await attempt(async () => {
    includes(await session.call("everything_get-sum", { a: 2, b: 3 }), "The sum of 2 and 3 is 5.")
    includes(await session.call("files_read_text_file", { path: join(directory, "note.txt") }), "noted")
  })
  const progress = reports === undefined ? "not offered" : await attempt(async () => {
    assert.equal(await reports("everything_trigger-long-running-operation", { duration: 0.6, steps: 3 }), 3)
  })
  const reads = await attempt(async () => includes(await session.read(resource), resourceText))
  await session.close()
  return [[...wire.revisions].join(), lists, calls, progress, reads, endOf(wire)]
}

const directory = mkdtempSync(join(tmpdir(), "gateway-"))
writeFileSync(join(directory, "note.txt"), "noted")
const config = join(directory, "servers.json")
const definitions = {
  everything: { command: process.execPath, args: [programOf("everything"), "stdio"] },
  files: { command: process.execPath, args: [programOf("filesystem"), directory] }
}
writeFileSync(config, JSON.stringify({ mcpServers: definitions }))
const program = fileURLToPath(new URL("../../../packages/cli/src/bin.ts", import.meta.url))
const gateway = spawn(process.execPath, [program, "serve", "--config", config], {
  stdio: ["ignore", "pipe", "inherit"]
})
const [url] = await once(createInterface(gateway.stdout), "line") as [string]

const rows: Array<Row> = []
try {
  for (const { file, from, name, open } of clientsAtGateway) {
    const { version } = JSON.parse(readFileSync(manifestOf(from), "utf8"))
    const module = await import(new URL(file, import.meta.url).href)
    const wire = await openWire(url)
    const cells = await visit(module[open], { directory, wire })
    await wire.close()
    console.log([name, ...cells, ...wire.refusals].join("; "))
    rows.push([name, `\`${from}\` ${version}`, ...cells])
  }
} finally {
  gateway.kill("SIGTERM")
  await once(gateway, "exit")
  rmSync(directory, { recursive: true })
}
write(rows)
// Some clients keep timers.
process.exit(0)
