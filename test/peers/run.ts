/**
 * Tries faults on clients, each in a process of its own, so that one that hangs is one that hangs.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Cell, Fault } from "./Fault.ts"
import { clear, makePlace } from "./Servers.ts"

/** Longer than all that a fault has patience for. In milliseconds. */
const limit = 60_000

export const run = async (options: {
  readonly fault: Fault
  readonly client: string
  readonly settle: number
}): Promise<ReadonlyArray<Cell>> => {
  const { client, fault, settle } = options
  const place = makePlace()
  const program = fileURLToPath(new URL("cell.ts", import.meta.url))
  // Nothing else of this process, which may well set what clients report to or log.
  const { HOME, PATH } = process.env
  const child = fork(program, [fault.name, client, place, String(settle)], {
    env: { HOME, PATH, MASTRA_TELEMETRY_DISABLED: "1" },
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  let said = ""
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    said += text
  })
  const timer = setTimeout(() => child.kill("SIGKILL"), limit)
  let told: { readonly cells: ReadonlyArray<Cell>; readonly strays: ReadonlyArray<string> } | undefined
  child.on("message", (message) => {
    told = message as NonNullable<typeof told>
  })
  try {
    await once(child, "exit")
  } finally {
    clearTimeout(timer)
    clear(place)
  }
  if (told === undefined) throw new Error(`${fault.name} on ${client} told nothing: ${said}`)
  const { cells, strays } = told
  if (strays.length === 0) return cells
  return cells.map((cell, index) =>
    index > 0 ? cell : { ...cell, detail: [cell.detail, `uncaught: ${strays.join(", ")}`].filter(Boolean).join("; ") }
  )
}
