/**
 * Compares calls through a gateway with calls of the server itself, with a pipe of bytes on `node:http` in the gateway's place, and with gateways
 * of others; measures the heap for each client. Prints tables; `--write` also writes them to `docs/performance.md` (`pnpm bench:gateway`).
 *
 * Servers and gateways are processes of their own, and so is the client, which is the raw one for all of them.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { replace, table } from "../tools/markdown.ts"
import type { Spell } from "./contender.ts"
import { measureHeap } from "./gateway/heap.ts"
import {
  cpuOf,
  leastOnStdio,
  type Started,
  startGateway,
  startLeast,
  startMcpProxy,
  startPipe,
  startReference,
  startSupergateway,
  stop
} from "./gateway/programs.ts"
import { client, gateway, type Measured, pipe } from "./gateway/roles.ts"
import { median, medianRatio, takeTurns } from "./rounds.ts"

const inFlight = 64

/** Calls in flight fill the processes at the start of a spell, and drain them at its end. In a longer spell, both count for less. */
const [alone, together] = [{ rounds: 21, millis: 250, inFlight: 1 }, { rounds: 9, millis: 1500, inFlight }] as const

const [, , role = "", target = ""] = process.argv

const self = fileURLToPath(import.meta.url)

/** Compares ways to one server. Ratios are to the first. */
const compare = async (
  { first, title, ways }: {
    readonly title: string
    /** What the ratios are to. */
    readonly first: string
    readonly ways: ReadonlyArray<readonly [name: string, program: Started]>
  }
): Promise<string> => {
  const contenders = await Promise.all(ways.map(async ([name, program]) => {
    const child = fork(self, ["client", program.url])
    await once(child, "message")
    const run = async (spell: Spell): Promise<Measured & { readonly used: number }> => {
      const before = cpuOf(program)
      child.send(spell)
      const [measured] = await once(child, "message") as [Measured]
      return { ...measured, used: cpuOf(program) - before }
    }
    return { name, run, close: () => child.disconnect() }
  }))
  for (const { run } of contenders) {
    await run({ millis: 750, inFlight: 1 })
    await run({ millis: 2000, inFlight })
  }
  process.stderr.write(title)
  const turns = ({ rounds, ...spell }: Spell & { readonly rounds: number }) =>
    takeTurns({ contenders, rounds, measure: ({ run }) => run(spell) })
  const [single, many] = [await turns(alone), await turns(together)]
  const rates = (all: ReadonlyArray<ReadonlyArray<Measured>>, index: number) =>
    all[index]?.map(({ perSecond }) => perSecond) ?? []
  const micros = (index: number) =>
    1_000_000 / (median(rates(single, 0)) * medianRatio(rates(single, index), rates(single, 0)))
  const total = (index: number, of: "calls" | "used") => many[index]?.reduce((sum, one) => sum + one[of], 0) ?? 0
  const cpu = (index: number) => total(index, "used") / total(index, "calls")
  const rows = contenders.map(({ name }, index) => {
    const ratio = medianRatio(rates(many, index), rates(many, 0))
    return [
      name,
      micros(index).toFixed(0),
      (micros(index) - micros(0)).toFixed(0),
      Math.round(median(rates(many, 0)) * ratio).toLocaleString("en"),
      `${ratio.toFixed(2)}×`,
      cpu(index).toFixed(0)
    ]
  })
  for (const { close } of contenders) close()
  for (const [, program] of ways) stop(program)
  return table([title, "µs per call", "µs added", `calls/s, ${inFlight} in flight`, `to ${first}`, "µs of CPU"], rows)
}

const overHttp = async (title: string, server: Started): Promise<string> => {
  const ways = [
    ["direct", server],
    ["pipe of bytes", await startPipe(server.url)],
    ["gateway", await startGateway({ server: { url: server.url } })]
  ] as const
  return compare({ title, first: "direct", ways })
}

const overStdio = async (): Promise<string> => {
  const ways = [
    ["supergateway 4.0.0", await startSupergateway()],
    ["mcp-proxy 6.7.19", await startMcpProxy()],
    ["gateway", await startGateway({ server: leastOnStdio })]
  ] as const
  return compare({ title: "least server on stdio", first: "supergateway", ways })
}

const heapTable = async (): Promise<string> => {
  const { unused, used } = await measureHeap()
  return table(["1,000 clients, 20 servers", "heap for each client"], [
    ["client that has called nothing", `${unused.toFixed(1)} KiB`],
    ["client with one used session", `${used.toFixed(1)} KiB`]
  ])
}

const compareAll = async (): Promise<void> => {
  const tables = [
    await overHttp("server on the SDK", await startReference()),
    await overHttp("least server", await startLeast()),
    await overStdio(),
    await heapTable()
  ]
  const shown = tables.join("\n\n")
  console.log(shown)
  if (role === "--write") replace("docs/performance.md", "gateway", shown)
}

if (role === "pipe") pipe(target)
else if (role === "client") await client(target)
else if (role === "gateway") await gateway(JSON.parse(target))
else await compareAll()
