/**
 * Compares warm calls: a raw client, this library and other clients, over each transport and in both eras, on the same minimal
 * servers. Prints tables; `--write` also writes them to `docs/performance.md`, and the chart to `docs/speed.svg` (`pnpm speed`).
 * `--only PART` measures the comparisons whose title includes PART.
 */
import { parseArgs } from "node:util"
import type { Peer, ServerOf } from "../test/peers/Peer.ts"
import { load, peers } from "../test/peers/peers.ts"
import { replace, table, write } from "../tools/markdown.ts"
import { chart } from "./chart.ts"
import { type Comparison, figures, inEffect, raw, type Row, tableOf } from "./figures.ts"
import { listen, open, type Opened, serverProgram } from "./processes.ts"

const { values: { only, write: isWriting } } = parseArgs({
  options: { only: { type: "string", default: "" }, write: { type: "boolean", default: false } }
})

const [rounds, millis, inFlight] = [21, 180, 64]

const [http, webSocket] = await Promise.all([listen("http"), listen("websocket")])
const stdio = (era: "legacy" | "modern"): ServerOf => ({
  kind: "stdio",
  era,
  command: process.execPath,
  args: [serverProgram, "stdio", era]
})
const post = (path: string, era: "legacy" | "modern"): ServerOf => ({
  kind: "http",
  era,
  url: `http://127.0.0.1:${http.port}/${path}`
})

const servers: ReadonlyArray<readonly [title: string, server: ServerOf]> = [
  ["stdio", stdio("legacy")],
  ["HTTP, JSON", post("json", "legacy")],
  ["HTTP, SSE", post("sse", "legacy")],
  ["WebSocket", { kind: "websocket", era: "legacy", url: `ws://127.0.0.1:${webSocket.port}/` }],
  ["stdio, modern", stdio("modern")],
  ["HTTP, modern", post("modern", "modern")]
]

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** What the rounds of a client came to: calls per second one after another, the same with 64 in flight, and the CPU time of these. */
interface Scores {
  readonly client: Opened
  readonly alone: Array<number>
  readonly together: Array<number>
  readonly cpu: Array<number>
}

/** Has clients take short rounds in turn: a machine that is slow for a while is slow for all of them. */
const compare = async (clients: ReadonlyArray<Opened>): Promise<ReadonlyArray<Row>> => {
  const scores = clients.map((client): Scores => ({ client, alone: [], together: [], cpu: [] }))
  // What is compiled on the way is not what a warm call costs.
  for (const { run } of clients) {
    await run({ millis: millis * 3, inFlight: 1 })
    await run({ millis: millis * 8, inFlight })
  }
  for (let round = 0; round < rounds; round++) {
    // Each client is the first in some of the rounds.
    const turns = [...scores.slice(round % scores.length), ...scores.slice(0, round % scores.length)]
    for (const { alone, client } of turns) alone.push((await client.run({ millis, inFlight: 1 })).perSecond)
    for (const { client, cpu, together } of turns) {
      const score = await client.run({ millis, inFlight })
      together.push(score.perSecond)
      cpu.push(score.cpu)
    }
    process.stderr.write(".")
  }
  const [base] = scores
  if (base === undefined) return []
  // The ratio within a round is that of two spells a moment apart: what slows the machine for seconds cancels out.
  const typical = (of: (score: Scores) => ReadonlyArray<number>, score: Scores): number =>
    median(of(base)) * median(of(score).map((value, round) => value / (of(base)[round] ?? Number.NaN)))
  return scores.map((score) => ({
    name: score.client.name,
    micros: 1_000_000 / typical(({ alone }) => alone, score),
    perSecond: typical(({ together }) => together, score),
    cpu: typical(({ cpu }) => cpu, score)
  }))
}

const loaded: ReadonlyArray<Peer> = await Promise.all(Object.keys(peers).map(load))
const canUse = ({ isModern, transports }: Peer, { era, kind }: ServerOf) =>
  transports.includes(kind) && (era !== "modern" || isModern === true)

const comparisons: Array<Comparison> = []
for (const [title, server] of servers.filter(([title]) => title.includes(only))) {
  const names = [raw, inEffect, ...loaded.filter((peer) => canUse(peer, server)).map(({ name }) => name)]
  process.stderr.write(`${title}: ${names.length} clients, ${rounds} rounds `)
  const opened = await Promise.all(names.map((name) => open(name, server)))
  const comparison: Comparison = { title, rows: await compare(opened) }
  await Promise.all(opened.map(({ close }) => close()))
  process.stderr.write("\n\n")
  console.log(`${tableOf(comparison)}\n`)
  comparisons.push(comparison)
}
const results = table(["to raw", "limit", "Effect", "promises"], figures(comparisons))
console.log(results)

if (isWriting && only === "") {
  replace("docs/performance.md", "speed", [...comparisons.map(tableOf), results].join("\n\n"))
  write("docs/speed.svg", chart(comparisons, loaded))
}
http.close()
webSocket.close()
// Some clients keep something open that they never use.
process.exit(0)
