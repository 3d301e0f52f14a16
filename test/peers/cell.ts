/**
 * One fault on one client, in a process of its own: `cell.ts FAULT CLIENT DIRECTORY SETTLE`. Sends its cells to the parent.
 */
import { faults } from "./Fault.ts"
import { load } from "./peers.ts"
import { placeOf } from "./Servers.ts"

const [, , name, client = "", directory = "", settle] = process.argv

// It would end the program that uses the client; here it is reported.
const uncaught: Array<string> = []
process.on("uncaughtException", (error) => uncaught.push(error.constructor.name))

const fault = faults.find((fault) => fault.name === name)
if (fault === undefined) throw new Error(`there is no fault ${name}`)
try {
  const cells = await fault.run(await load(client), placeOf(directory, Number(settle)))
  process.send?.({ cells, uncaught }, () => process.exit(0))
} catch (error) {
  console.error(error)
  process.exit(1)
}
