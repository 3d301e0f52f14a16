/**
 * The servers of the soak, all on this machine and each a process of its own, and how they are configured.
 *
 * `http` and `pool` are the same server with sessions, once behind a proxy and once directly; `primary` and `secondary` are two more
 * of the kind; the process of `stdio` is started by who is tested.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { isAlive, Journal } from "./Journal.ts"
import { Program, proxyFixture, serverFixture } from "./Program.ts"

export interface Servers {
  readonly journal: Journal
  readonly http: Program
  readonly proxy: Program
  readonly websocket: Program
  readonly primary: Program
  readonly secondary: Program
  /** All that were started here, which is not the one on stdio. */
  readonly programs: ReadonlyArray<readonly [name: string, program: Program]>
  readonly definitions: Readonly<Record<string, ServerConfigInput>>
  /** Sends a signal to the process that the stdio server said it is. */
  readonly signalStdio: (signal: NodeJS.Signals) => void
}

/** Short enough for faults to be felt, long enough for a machine that is busy. */
const patience = {
  protocol: "legacy",
  requestTimeout: "2 seconds",
  connectTimeout: "8 seconds",
  totalTimeout: "10 seconds",
  healthInterval: "10 seconds"
} as const

const make = async (): Promise<Servers> => {
  const journal = new Journal()
  const program = async (kind: "http" | "websocket", name: string) => {
    const made = new Program([serverFixture, kind, name, journal.directory])
    await made.start()
    return made
  }
  const [http, websocket, primary, secondary] = await Promise.all([
    program("http", "http"),
    program("websocket", "websocket"),
    program("http", "primary"),
    program("http", "secondary")
  ])
  const proxy = new Program([proxyFixture, String(http.port)])
  await proxy.start()
  const over = ({ port }: Program) =>
    ({ transport: "streamable_http", url: `http://127.0.0.1:${port}/mcp`, ...patience }) as const
  return {
    journal,
    http,
    proxy,
    websocket,
    primary,
    secondary,
    programs: Object.entries({ http, proxy, websocket, primary, secondary }),
    definitions: {
      stdio: {
        transport: "stdio",
        command: process.execPath,
        args: [serverFixture, "stdio", "stdio", journal.directory],
        ...patience
      },
      http: over(proxy),
      pool: over(http),
      websocket: { transport: "websocket", url: `ws://127.0.0.1:${websocket.port}/`, ...patience },
      primary: over(primary),
      secondary: over(secondary)
    },
    signalStdio: (signal) => {
      const pid = journal.pids("stdio").at(-1)
      if (pid !== undefined && isAlive(pid)) process.kill(pid, signal)
    }
  }
}

/** Starts them for as long as the scope. */
export const start: Effect.Effect<Servers, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(make),
  ({ journal, programs }) =>
    Effect.promise(async () => {
      await Promise.all(programs.map(([, program]) => program.stop()))
      journal.remove()
    })
)
