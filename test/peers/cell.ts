/**
 * One fault on one client, as a process of its own: `cell.ts FAULT CLIENT PLACE SETTLE`. Sends its cells to the parent.
 */
import { faults, tryOn } from "./Fault.ts"
import { peers } from "./peers.ts"

const [, , name, client = "", directory = "", settle] = process.argv

// It would end the program of whoever uses the client; here it is for the page.
const strays: Array<string> = []
process.on("uncaughtException", (error) => strays.push(error.constructor.name))

const fault = faults.find((fault) => fault.name === name)
const load = peers[client]
if (fault === undefined || load === undefined) throw new Error(`there is no fault ${name} or no client ${client}`)
try {
  const cells = await tryOn({ fault, peer: await load(), directory, settle: Number(settle) })
  process.send?.({ cells, strays }, () => process.exit(0))
} catch (error) {
  console.error(error)
  process.exit(1)
}
