/**
 * Tries all faults on all clients and writes down what came of it: `pnpm faults`, after a client has a new version. What has
 * changed is for a person to look at before it is committed.
 */
import { type Cell, faults } from "./Fault.ts"
import { write } from "./page.ts"
import { peers } from "./peers.ts"
import { run } from "./run.ts"

/** What was closed is looked at after this time, in milliseconds: there are clients that start servers then. */
const settle = 3000

/** At once. Most of the time is spent waiting. */
const lanes = 3

const clients = Object.keys(peers)
const table = new Map<string, ReadonlyArray<Cell>>()
const keyOf = (fault: { readonly name: string }, client: string) => `${fault.name} on ${client}`

const work = faults.flatMap((fault) => clients.map((client) => ({ fault, client })))
const worker = async (): Promise<void> => {
  for (let next = work.shift(); next !== undefined; next = work.shift()) {
    const { client, fault } = next
    const cells = await run({ fault, client, settle })
    console.log(
      keyOf(fault, client),
      cells.map(({ measured, verdict }) => [verdict, measured].filter(Boolean).join(" "))
    )
    table.set(keyOf(fault, client), cells)
  }
}
await Promise.all(Array.from({ length: lanes }, worker))

write(
  await Promise.all(clients.map(async (client) => {
    const peer = await peers[client]?.()
    if (peer === undefined) throw new Error(`there is no client ${client}`)
    return { peer, cells: (fault) => table.get(keyOf(fault, client)) ?? [] }
  }))
)
// Some clients keep something open that they never use.
process.exit(0)
