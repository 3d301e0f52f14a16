/**
 * Tries all faults on all clients and writes the table of the README and `docs/faults.md` (`pnpm faults`). Read what has changed
 * before you commit it.
 */
import { type Cell, faults } from "./Fault.ts"
import { write } from "./page.ts"
import { load, peers } from "./peers.ts"
import { run } from "./run.ts"

/** Some clients start servers after they were closed. In milliseconds. */
const settle = 3000

/** Most of the time is spent waiting. */
const lanes = 3

const clients = Object.keys(peers)
const columns = await Promise.all(clients.map(async (client) => ({
  peer: await load(client),
  cells: new Map<string, ReadonlyArray<Cell>>()
})))
const work = faults.flatMap((fault) => columns.map((column) => ({ fault, column })))
const total = work.length
const worker = async (): Promise<void> => {
  for (let next = work.shift(); next !== undefined; next = work.shift()) {
    const { column: { cells, peer }, fault } = next
    const found = await run({ fault, client: peer.name, settle })
    cells.set(fault.name, found)
    const shown = found.map(({ measured, verdict }) => [verdict, measured].filter(Boolean).join(" ")).join("; ")
    console.log(`${total - work.length}/${total} ${fault.name}, ${peer.name}: ${shown}`)
  }
}
await Promise.all(Array.from({ length: lanes }, worker))
write(columns)
// Some clients keep something open that they never use.
process.exit(0)
