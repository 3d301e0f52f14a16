/**
 * The servers of the soak: processes that write down which calls ran, and that can be made to fail.
 *
 * `http` and `pool` are one server with sessions, behind a proxy and directly; `primary` and `secondary` are two more of the kind; the
 * library starts the process of `stdio`.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

/** Whether a process runs and is not merely waiting to be collected. */
export const isAlive = (pid: number): boolean => {
  const stat = `/proc/${pid}/stat`
  try {
    return existsSync(stat) && readFileSync(stat, "utf8").replace(/^.*\) /, "")[0] !== "Z"
  } catch {
    // It ended in between.
    return false
  }
}

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** A server as a child process that takes orders on its input. */
class Program {
  readonly #args: ReadonlyArray<string>
  #child: ChildProcess | undefined
  #waiting: Array<(response: Readonly<Record<string, number>>) => void> = []
  port = 0

  constructor(args: ReadonlyArray<string>) {
    this.#args = args
  }

  get isGone(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Starts it, on the port that it had before if there was one; tries again while another process has that port. */
  async start(): Promise<this> {
    for (let tries = 1; tries < 50; tries++) {
      if (await this.#startOnce()) return this
      await setTimeout(200)
    }
    throw new Error(`${this.#args.join(" ")} does not start`)
  }

  /** Gives an order and waits until it is carried out. Does nothing when the process is gone. */
  order(order: string): Promise<Readonly<Record<string, number>>> {
    const input = this.#child?.stdin
    if (this.isGone || input === null || input === undefined) return Promise.resolve({})
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      input.write(`${order}\n`)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  kill(): Promise<void> {
    return this.#end(() => this.signal("SIGKILL"))
  }

  stop(): Promise<void> {
    return this.#end(() => {
      this.signal("SIGCONT")
      this.#child?.stdin?.end()
    })
  }

  async #startOnce(): Promise<boolean> {
    const args = this.port === 0 ? this.#args : [...this.#args, String(this.port)]
    const child = this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
    // An order to a process that was killed gets no response.
    child.stdin.on("error", () => {})
    child.once("exit", () => {
      for (const resolve of this.#waiting.splice(0)) resolve({})
    })
    const lines = createInterface(child.stdout)
    const port = await Promise.race([once(lines, "line").then(([line]) => Number(line)), once(child, "exit")])
    if (typeof port !== "number") return false
    this.port = port
    lines.on("line", (line) => this.#waiting.shift()?.(JSON.parse(line)))
    return true
  }

  async #end(how: () => void): Promise<void> {
    if (this.isGone || this.#child === undefined) return
    const exited = once(this.#child, "exit")
    how()
    await exited
  }
}

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
  const down = join(directory, "down")
  const linesOf = (file: string) => readFileSync(join(directory, file), "utf8").split("\n")
  for (const file of ["calls", "journal"]) writeFileSync(join(directory, file), "")
  const server = (kind: string, name: string) => new Program([fixture("soakServer.mjs"), kind, name, directory]).start()
  const [http, websocket, primary, secondary] = await Promise.all([
    server("http", "http"),
    server("websocket", "websocket"),
    server("http", "primary"),
    server("http", "secondary")
  ])
  const proxy = await new Program([fixture("soakProxy.mjs"), String(http.port)]).start()
  const over = ({ port }: Program) =>
    ({ transport: "streamable_http", url: `http://127.0.0.1:${port}/mcp`, ...timeouts }) as const
  const args = [fixture("soakServer.mjs"), "stdio", "stdio", directory]
  const definitions: Readonly<Record<string, ServerConfigInput>> = {
    stdio: { transport: "stdio", command: process.execPath, args, ...timeouts },
    http: over(proxy),
    pool: over(http),
    websocket: { transport: "websocket", url: `ws://127.0.0.1:${websocket.port}/`, ...timeouts },
    primary: over(primary),
    secondary: over(secondary)
  }
  /** The processes that the stdio server was, in the order of their starts. */
  const stdioPids = () =>
    linesOf("journal").filter((line) => line.startsWith("stdio process ")).map((line) => Number(line.split(" ")[2]))
  return {
    http,
    proxy,
    websocket,
    primary,
    secondary,
    /** All that are started here. */
    programs: Object.entries({ http, proxy, websocket, primary, secondary }),
    definitions,
    stdioPids,
    signalStdio: (signal: NodeJS.Signals): void => {
      const pid = stdioPids().at(-1)
      if (pid !== undefined && isAlive(pid)) process.kill(pid, signal)
    },
    /** Makes the stdio server exit as soon as it is started, or ends that. */
    setStdioDown: (isDown: boolean): void => isDown ? writeFileSync(down, "") : rmSync(down, { force: true }),
    /** How often each call of a tool ran, by the id of the call. */
    runs: (tool: string): ReadonlyMap<number, number> => {
      const runs = new Map<number, number>()
      for (const line of linesOf("calls")) {
        const [name, id] = line.split(" ")
        if (name === tool) runs.set(Number(id), (runs.get(Number(id)) ?? 0) + 1)
      }
      return runs
    },
    /** How many requests, connections and process starts reached servers that refuse everything. */
    reached: (): number => linesOf("journal").filter((line) => line.endsWith(" reached")).length,
    remove: () => rmSync(directory, { recursive: true })
  }
}

export type Servers = Awaited<ReturnType<typeof make>>

/** Starts the servers for the life of the scope. */
export const start: Effect.Effect<Servers, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(make),
  ({ programs, remove }) =>
    Effect.promise(async () => {
      await Promise.all(programs.map(([, program]) => program.stop()))
      remove()
    })
)
