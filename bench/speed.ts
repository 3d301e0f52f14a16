/**
 * Compares warm calls: a raw client, this library and other clients, over each transport and in both eras, on the same minimal
 * servers. Prints tables; `--write` also writes them to `docs/performance.md`, and the chart to `docs/speed.svg` (`pnpm speed`).
 * `--only PART` measures the comparisons whose title includes PART.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { clientsOf, forkClient } from "../test/otherClients/allClients.ts"
import type { ServerOf } from "../test/otherClients/ComparedClient.ts"
import { Program } from "../test/otherClients/Program.ts"
import { replace, write } from "../tools/markdown.ts"
import { chart } from "./chart.ts"
import type { Score, Spell } from "./contender.ts"
import { type Comparison, inEffect, raw, tableOf } from "./figures.ts"
import { median, medianRatio, takeTurns } from "./rounds.ts"

const { values: { only, write: isWriting } } = parseArgs({
  options: { only: { type: "string", default: "" }, write: { type: "boolean", default: false } }
})

const [rounds, millis, inFlight] = [21, 180, 64]

const program = fileURLToPath(new URL("fixtures/server.mjs", import.meta.url))
const listen = async (kind: string) => (await new Program([program, kind]).start()).port
const [http, webSocket] = await Promise.all([listen("http"), listen("websocket")])
const stdio = { kind: "stdio", command: process.execPath } as const
const over = (path: string) => ({ kind: "http", url: `http://127.0.0.1:${http}/${path}` }) as const
const servers: Readonly<Record<string, ServerOf>> = {
  stdio: { ...stdio, args: [program, "stdio", "legacy"] },
  "HTTP, JSON": over("json"),
  "HTTP, SSE": over("sse"),
  WebSocket: { kind: "websocket", url: `ws://127.0.0.1:${webSocket}/` },
  "stdio, modern": { ...stdio, era: "modern", args: [program, "stdio", "modern"] },
  "HTTP, modern": { ...over("modern"), era: "modern" }
}

/** Starts a client and waits until it is connected. */
const open = async (name: string, server: ServerOf) => {
  const { child, next } = forkClient(new URL("contender.ts", import.meta.url), [name, JSON.stringify(server)])
  await next()
  const run = async (spell: Spell): Promise<Score> => {
    child.send(spell)
    return await next() as Score
  }
  // What is compiled on the way is not what a warm call costs.
  await run({ millis: millis * 3, inFlight: 1 })
  await run({ millis: millis * 8, inFlight })
  return { name, run, close: () => child.disconnect() }
}

const comparisons: Array<Comparison> = []
for (const [title, server] of Object.entries(servers).filter(([title]) => title.includes(only))) {
  process.stderr.write(title)
  const contenders: Array<Awaited<ReturnType<typeof open>>> = []
  for (const name of [raw, inEffect, ...clientsOf(server)]) contenders.push(await open(name, server))
  const turns = (inFlight: number) => takeTurns({ contenders, rounds, measure: ({ run }) => run({ millis, inFlight }) })
  const [alone, together] = [await turns(1), await turns(inFlight)]
  // The absolute value of a client is that of raw times its ratio.
  const typical = (all: ReadonlyArray<ReadonlyArray<Score>>, index: number, of: keyof Score): number => {
    const values = (index: number) => all[index]?.map((score) => score[of]) ?? []
    return median(values(0)) * medianRatio(values(index), values(0))
  }
  const rows = contenders.map(({ name }, index) => ({
    name,
    micros: 1_000_000 / typical(alone, index, "perSecond"),
    perSecond: typical(together, index, "perSecond"),
    cpu: typical(together, index, "cpu")
  }))
  for (const { close } of contenders) close()
  comparisons.push({ title, rows })
  console.log(`${tableOf({ title, rows })}\n`)
}

if (isWriting && only === "") {
  replace("docs/performance.md", "speed", comparisons.map(tableOf).join("\n\n"))
  write("docs/speed.svg", chart(comparisons))
}
process.exit(0)
