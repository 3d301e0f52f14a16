/**
 * Warm calls over each transport: a raw client, this library and other clients, on the same minimal servers. Takes about three
 * minutes; prints tables and what came of the targets. With `--write` they are written to `docs/performance.md` too, and a
 * chart to `docs/speed.svg`: `pnpm speed`.
 */
import type { ServerOf } from "@mcp-sessions/peers/Peer.ts"
import { peers } from "@mcp-sessions/peers/peers.ts"
import { writeFileSync } from "node:fs"
import { chart } from "./chart.ts"
import { contenders } from "./contenders.ts"
import { compare } from "./harness.ts"
import { fixture, listen, open } from "./processes.ts"
import { type Comparison, table, targets, write } from "./tables.ts"

const settings = { rounds: 9, millis: 120, inFlight: 64 }

const [http, webSocket] = await Promise.all([listen("rawHttp.mjs"), listen("rawWebSocket.mjs")])

const servers: ReadonlyArray<readonly [title: string, server: ServerOf]> = [
  ["stdio", { kind: "stdio", command: process.execPath, args: [fixture("rawStdio.mjs")] }],
  ["HTTP, JSON answers", { kind: "http", url: `http://127.0.0.1:${http.port}/json` }],
  ["HTTP, SSE answers", { kind: "http", url: `http://127.0.0.1:${http.port}/sse` }],
  ["WebSocket", { kind: "websocket", url: `ws://127.0.0.1:${webSocket.port}/` }]
]

const loaded = await Promise.all(
  Object.entries(contenders).map(async ([name, load]) => ({ name, transports: (await load()).transports }))
)

const comparisons: Array<Comparison> = []
for (const [title, server] of servers) {
  const names = loaded.filter(({ transports }) => transports.includes(server.kind)).map(({ name }) => name)
  process.stderr.write(`${title}: ${names.length} clients, ${settings.rounds} rounds `)
  const opened = await Promise.all(names.map((name) => open(name, server)))
  const rows = await compare({ ...settings, contenders: opened, onRound: () => process.stderr.write(".") })
  await Promise.all(opened.map(({ close }) => close()))
  process.stderr.write("\n\n")
  const comparison = { title, rows }
  console.log(`${table(comparison)}\n`)
  comparisons.push(comparison)
}
console.log(targets(comparisons))

if (process.argv.includes("--write")) {
  const versions = await Promise.all(Object.values(peers).map((load) => load()))
  write(comparisons)
  writeFileSync(new URL("../docs/speed.svg", import.meta.url), chart(comparisons, versions))
}

http.close()
webSocket.close()
// Some clients keep something open that they never use.
process.exit(0)
