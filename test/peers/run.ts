/**
 * Tries a fault on a client in a process of its own, which is killed if it hangs.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Cell, Fault } from "./Fault.ts"
import { clear, makeDirectory } from "./Servers.ts"

/** Longer than all time limits of a fault together, in milliseconds. */
const processTimeout = 60_000

export const run = async (options: {
  readonly fault: Fault
  readonly client: string
  readonly settle: number
}): Promise<ReadonlyArray<Cell>> => {
  const { client, fault, settle } = options
  const directory = makeDirectory()
  // The rest of this environment could make clients log or send telemetry.
  const { HOME, PATH } = process.env
  const child = fork(
    fileURLToPath(new URL("cell.ts", import.meta.url)),
    [fault.name, client, directory, String(settle)],
    { env: { HOME, PATH, MASTRA_TELEMETRY_DISABLED: "1" }, execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] }
  )
  let stderr = ""
  child.stderr?.setEncoding("utf8").on("data", (text) => stderr += text)
  const timer = setTimeout(() => child.kill("SIGKILL"), processTimeout)
  let result: { readonly cells: ReadonlyArray<Cell>; readonly uncaught: ReadonlyArray<string> } | undefined
  child.on("message", (message) => {
    result = message as NonNullable<typeof result>
  })
  try {
    await once(child, "exit")
  } finally {
    clearTimeout(timer)
    clear(directory)
  }
  if (result === undefined) throw new Error(`${fault.name} on ${client} sent no result: ${stderr}`)
  const { cells: [first, ...rest], uncaught } = result
  if (first === undefined || uncaught.length === 0) return result.cells
  return [{ ...first, detail: [first.detail, `uncaught: ${uncaught.join(", ")}`].filter(Boolean).join("; ") }, ...rest]
}
