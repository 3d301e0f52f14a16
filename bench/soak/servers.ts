/**
 * The servers of the soak: processes that write down which calls ran, and that can be made to fail.
 *
 * `http` and `pool` are one server; `primary` and `secondary` are two more of the kind; the library starts the process of `stdio`.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import { rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makeLedger } from "../../test/fixtures/ledger.ts"
import { isAlive } from "../../test/fixtures/processes.ts"
import { Program } from "../../test/otherClients/Program.ts"

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/otherClients/fixtures/${name}.mjs`, import.meta.url))

/** Short enough for faults to be felt, long enough for a busy machine. */
const timeouts = {
  protocol: "legacy",
  requestTimeout: "2 seconds",
  connectTimeout: "8 seconds",
  totalTimeout: "10 seconds",
  healthInterval: "10 seconds"
} as const

/** Starts the servers for the life of the scope. */
export const start = Effect.gen(function*() {
  const { directory, file, read } = yield* makeLedger
  const program = Effect.acquireRelease(
    Effect.promise(() => new Program([fixture("net"), file, "busy", "streams"]).start()),
    (program) => Effect.promise(() => program.stop())
  )
  const programs = yield* Effect.all(
    { http: program, websocket: program, primary: program, secondary: program },
    { concurrency: "unbounded" }
  )
  const over = ({ port }: Program): ServerConfigInput => ({
    transport: "streamable_http",
    url: `http://127.0.0.1:${port}/mcp`,
    ...timeouts
  })
  const definitions: Readonly<Record<string, ServerConfigInput>> = {
    stdio: { transport: "stdio", command: process.execPath, args: [fixture("stdio"), file, "busy"], ...timeouts },
    http: over(programs.http),
    pool: over(programs.http),
    websocket: { transport: "websocket", url: `ws://127.0.0.1:${programs.websocket.port}/`, ...timeouts },
    primary: over(programs.primary),
    secondary: over(programs.secondary)
  }
  /** The processes of the stdio server that are alive. */
  const stdioPids = (): ReadonlyArray<string> => {
    const others = new Set(Object.values(programs).map(({ pid }) => String(pid)))
    return read("server").filter((pid) => !others.has(pid) && isAlive(pid))
  }
  return {
    programs,
    definitions,
    directory,
    stdioPids,
    signalStdio: (signal: NodeJS.Signals): void => {
      for (const pid of stdioPids()) process.kill(Number(pid), signal)
    },
    /** Makes the stdio server exit as soon as it is started, or ends that. */
    setStdioDown: (isDown: boolean): void =>
      isDown ? writeFileSync(`${file}.down`, "") : rmSync(`${file}.down`, { force: true }),
    /** How often each call of a tool ran, by the id of the call. */
    runs: (tool: string): ReadonlyMap<number, number> => {
      const runs = new Map<number, number>()
      for (const id of read(`call ${tool}`).map(Number)) runs.set(id, (runs.get(id) ?? 0) + 1)
      return runs
    },
    /** How many requests, connections and process starts reached servers that refuse everything. */
    reached: (): number => read("reached").length
  }
})

export type Servers = Effect.Success<typeof start>
