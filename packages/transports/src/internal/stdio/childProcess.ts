/**
 * A child process that cannot be left behind.
 *
 * It leads a process group of its own, so that whatever it starts can be reached when it goes. Closing climbs a ladder: end
 * of input, one second, SIGTERM to the group, one second, SIGKILL to the group; then it waits for the exit, and for
 * stragglers of the group that outlive the leader. Should this process exit without closing anything, the groups are
 * killed on the way out.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { ServerExited, SpawnFailed } from "@mcp-sessions/core/SessionError"
import { getDefaultEnvironment } from "@modelcontextprotocol/client/stdio"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Buffer } from "node:buffer"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import * as Redactor from "../redactor.ts"
import { firstOf } from "../timeout.ts"

/** How long each step of the ladder waits before the next, in milliseconds. */
const patience = 1000

/** How long the rest of a group may outlive a leader that left when asked to. */
const stragglerPatience = 100

/** How long to wait for output that a process wrote before it exited. A grandchild may keep the pipe open for ever. */
const drain = 100

/** What is kept of stderr, in bytes. */
const ringBytes = 64 * 1024

/** What of it an error quotes. */
const tailLines = 20
const tailCharacters = 4096

const isPosix = process.platform !== "win32"

const alive = new Set<ChildProcess.ChildProcess>()

const killGroup = (child: ChildProcess.ChildProcess, signal: NodeJS.Signals | 0): boolean => {
  if (child.pid === undefined) return false
  try {
    return isPosix ? process.kill(-child.pid, signal) : child.exitCode === null && child.kill(signal)
  } catch (error) {
    // Nobody left in the group, or nobody that is ours any more.
    if (error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM")) return false
    throw error
  }
}

/**
 * Whether anybody in a group still runs. A signal reaches the dead too for as long as nobody has collected them, which in a
 * container may be for ever; `/proc` knows better. Where there is none, the signal has to do.
 */
const hasSurvivors = (group: number | undefined): boolean => {
  if (!Fs.existsSync("/proc/self/stat")) return true
  return Fs.readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      // After the name in parentheses: state, parent, group.
      const [state, , processGroup] = Fs.readFileSync(`/proc/${name}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")
      return Number(processGroup) === group && state !== "Z" && state !== "X"
    } catch {
      // It ended between the two looks.
      return false
    }
  })
}

const killAll = (): void => {
  for (const child of alive) killGroup(child, "SIGKILL")
}

const track = (child: ChildProcess.ChildProcess): void => {
  if (alive.size === 0) process.on("exit", killAll)
  alive.add(child)
}

const untrack = (child: ChildProcess.ChildProcess): void => {
  alive.delete(child)
  if (alive.size === 0) process.off("exit", killAll)
}

class Ring {
  #chunks: Array<Buffer> = []
  #bytes = 0
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#chunks.length > 1 && this.#bytes - (this.#chunks[0]?.length ?? 0) >= ringBytes) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0
    }
  }
  text(): string {
    return this.#chunks.map((chunk) => chunk.toString("utf8")).join("")
  }
}

/** A running child, from its start to the end of its whole group. */
export class Child {
  readonly process: ChildProcess.ChildProcessWithoutNullStreams
  /** The exit of the leader, after the output that it left behind has been read. */
  readonly exited: Promise<void>
  #ended = false
  #closing: Promise<void> | undefined
  readonly #stderr = new Ring()
  /** Removes the secrets of the definition from what the child said. */
  readonly redact: (text: string) => string

  constructor(child: ChildProcess.ChildProcessWithoutNullStreams, redact: (text: string) => string) {
    this.process = child
    this.redact = redact
    track(child)
    child.stderr.on("data", (chunk: Buffer) => this.#stderr.push(chunk))
    // A broken pipe shows as the exit that broke it. Without a listener it would end this process.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => {})
    const drained: Promise<unknown> = Promise.all(
      [child.stdout, child.stderr].map((stream) =>
        new Promise<void>((resolve) => {
          stream.once("close", resolve)
        })
      )
    )
    this.exited = new Promise<void>((resolve) => {
      child.once("exit", () => {
        this.#ended = true
        void firstOf({ event: drained, millis: drain }).then(() => resolve())
      })
    })
  }

  get hasExited(): boolean {
    return this.#ended
  }

  /** The latest of what the child wrote to stderr, secrets removed. */
  stderrTail(): string {
    return this.redact(this.#stderr.text()).trimEnd().split("\n").slice(-tailLines).join("\n").slice(-tailCharacters)
  }

  /** How the child ended, as the reason of what failed for it. */
  exit(delivery: ServerExited["delivery"]): ServerExited {
    const { exitCode, signalCode } = this.process
    return new ServerExited({ exitCode, signal: signalCode, stderrTail: this.stderrTail(), delivery })
  }

  /** Ends the group. Takes no longer than the ladder is high, never fails, and does its work once. */
  close(): Promise<void> {
    return this.#closing ??= this.#close().finally(() => untrack(this.process))
  }

  async #close(): Promise<void> {
    const { process: child } = this
    child.stdin.end()
    if (!(await this.#gone(patience, stragglerPatience))) {
      killGroup(child, "SIGTERM")
      if (!(await this.#gone(patience, patience))) {
        killGroup(child, "SIGKILL")
        await this.#gone(patience, patience)
      }
    }
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    child.unref()
  }

  /** Waits for the leader to exit, and then for its group to empty; for the latter not longer than `grace`. */
  async #gone(timeout: number, grace: number): Promise<boolean> {
    const deadline = performance.now() + timeout
    if (!this.#ended) {
      await firstOf({ event: this.exited, millis: timeout })
      if (!this.#ended) return false
    }
    const last = Math.min(deadline, performance.now() + grace)
    while (killGroup(this.process, 0) && hasSurvivors(this.process.pid)) {
      if (performance.now() >= last) return false
      await setTimeout(20)
    }
    return true
  }
}

/** Starts the process of a stdio definition, for as long as the scope. */
export const spawn = (
  config: Extract<ServerConfig, { readonly transport: "stdio" }>
): Effect.Effect<Child, SpawnFailed, Scope.Scope> => {
  const { args, command, cwd, env } = config
  const values = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, Redacted.value(value)]))
  const start = Effect.callback<Child, SpawnFailed>((resume) => {
    const refuse = (error: Error) => {
      const code = "code" in error && typeof error.code === "string" ? error.code : error.name
      // The system says ENOENT for a directory that is not there, too.
      const isMisplaced = cwd !== undefined && !(Fs.statSync(cwd, { throwIfNoEntry: false })?.isDirectory() ?? false)
      resume(Effect.fail(new SpawnFailed({ command, code, cwd: isMisplaced ? cwd : undefined, cause: error })))
    }
    try {
      const child = ChildProcess.spawn(command, args, {
        stdio: ["pipe", "pipe", "pipe"],
        env: { ...getDefaultEnvironment(), ...values },
        cwd,
        detached: isPosix,
        windowsHide: true
      })
      child.once("error", refuse)
      child.once("spawn", () => {
        child.off("error", refuse)
        child.on("error", () => {})
        resume(Effect.succeed(new Child(child, Redactor.make(Redactor.secretsOf(config)))))
      })
    } catch (error) {
      refuse(error instanceof Error ? error : new Error(String(error)))
    }
  })
  return Effect.acquireRelease(start, (child) => Effect.promise(() => child.close()))
}
