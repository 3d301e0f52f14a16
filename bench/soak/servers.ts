/**
 * The servers of the soak: processes that write down which calls ran, and that can be made to fail.
 *
 * `http` and `pool` are one server; `primary` and `secondary` are two more of the kind; the library starts the process of `stdio`.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readLedger } from "../../test/fixtures/ledger.ts"
import { isAlive } from "../../test/fixtures/processes.ts"
import { Program } from "../../test/peers/Program.ts"

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/peers/fixtures/${name}.mjs`, import.meta.url))

/** Short enough for faults to be felt, long enough for a busy machine. */
const timeouts = {
  protocol: "legacy",
  requestTimeout: "2 seconds",
  connectTimeout: "8 seconds",
  totalTimeout: "10 seconds",
  healthInterval: "10 seconds"
} as const

const make = async () => {
  const directory = mkdtempSync(join(tmpdir(), "soak-"))
  const ledgers: Array<string> = []
  const ledger = (name: string): string => {
    const file = join(directory, name)
    writeFileSync(file, "")
    ledgers.push(file)
    return file
  }
  const server = (name: string) => new Program([fixture("net"), ledger(name), "busy", "streams"]).start()
  const [http, websocket, primary, secondary] = await Promise.all([
    server("http"),
    server("websocket"),
    server("primary"),
    server("secondary")
  ])
  const over = ({ port }: Program) =>
    ({ transport: "streamable_http", url: `http://127.0.0.1:${port}/mcp`, ...timeouts }) as const
  const stdio = ledger("stdio")
  const down = `${stdio}.down`
  const definitions: Readonly<Record<string, ServerConfigInput>> = {
    stdio: { transport: "stdio", command: process.execPath, args: [fixture("stdio"), stdio, "busy"], ...timeouts },
    http: over(http),
    pool: over(http),
    websocket: { transport: "websocket", url: `ws://127.0.0.1:${websocket.port}/`, ...timeouts },
    primary: over(primary),
    secondary: over(secondary)
  }
  const read = (word: string) => ledgers.flatMap((file) => readLedger(file, word))
  /** The processes that the stdio server was, in the order of their starts. */
  const stdioPids = () => readLedger(stdio, "process")
  return {
    programs: { http, websocket, primary, secondary },
    definitions,
    /** A file for the record of the calls. */
    record: join(directory, "calls"),
    stdioPids,
    signalStdio: (signal: NodeJS.Signals): void => {
      const pid = stdioPids().at(-1)
      if (pid !== undefined && isAlive(pid)) process.kill(Number(pid), signal)
    },
    /** Makes the stdio server exit as soon as it is started, or ends that. */
    setStdioDown: (isDown: boolean): void => isDown ? writeFileSync(down, "") : rmSync(down, { force: true }),
    /** How often each call of a tool ran, by the id of the call. */
    runs: (tool: string): ReadonlyMap<number, number> => {
      const runs = new Map<number, number>()
      for (const line of read("call")) {
        const [name, id] = line.split(" ")
        if (name === tool) runs.set(Number(id), (runs.get(Number(id)) ?? 0) + 1)
      }
      return runs
    },
    /** How many requests, connections and process starts reached servers that refuse everything. */
    reached: (): number => read("reached").length,
    remove: () => rmSync(directory, { recursive: true })
  }
}

export type Servers = Awaited<ReturnType<typeof make>>

/** Starts the servers for the life of the scope. */
export const start: Effect.Effect<Servers, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(make),
  ({ programs, remove }) =>
    Effect.promise(async () => {
      await Promise.all(Object.values(programs).map((program) => program.stop()))
      remove()
    })
)
