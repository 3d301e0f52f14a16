/**
 * One fault on one client, in a process of its own: `cell.ts FAULT CLIENT LEDGER SETTLE`. Sends its cells to the parent.
 */
import { ledgerAt } from "../fixtures/ledger.ts"
import { load } from "./allClients.ts"
import { faults } from "./Fault.ts"

const [, , name, client = "", file = "", settle] = process.argv

// It would end the program that uses the client; here it is reported.
const uncaught: Array<string> = []
process.on("uncaughtException", (error) => uncaught.push(error.constructor.name))

try {
  const place = { ...ledgerAt(file), settle: Number(settle) }
  const [first, ...rest] = await faults.find((fault) => fault.name === name)?.run(await load(client), place) ?? []
  const detail = [first?.detail, ...(uncaught.length > 0 ? [`uncaught: ${uncaught.join(", ")}`] : [])]
  process.send?.([{ ...first, detail: detail.filter(Boolean).join("; ") || undefined }, ...rest], () => process.exit(0))
} catch (error) {
  console.error(error)
  process.exit(1)
}
