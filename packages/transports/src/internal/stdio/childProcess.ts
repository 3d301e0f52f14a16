/**
 * A child process that is never left running.
 *
 * The child leads a process group of its own, so that its descendants can be signalled too. Closing ends its input, sends SIGTERM to the
 * group after one second and SIGKILL after another; then it waits for the exit, and for members of the group that outlive the leader.
 * If this process exits without closing its children, their groups are killed on exit; if it is killed, the watchdog ends them.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { ServerExited, SpawnFailed } from "@mcp-sessions/core/SessionError"
import { ProcessStart } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Buffer } from "node:buffer"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import { childEnvironment, type Variables } from "../childEnvironment.ts"
import { redactorOf } from "../secrets.ts"
import { firstOf } from "../timeout.ts"
import { Watchdog } from "./watchdog.ts"

/** How long each step of closing waits before the next, in milliseconds. */
const stepTimeout = 1000

/** How long the group may outlive a leader that exited on the end of its input, in milliseconds. */
const groupTimeout = 100

/** How long to wait for output that a process wrote before it exited, in milliseconds. A grandchild may keep the pipe open. */
const drainTimeout = 100

/** How many bytes of stderr are kept. */
const ringBytes = 64 * 1024

/** How much of stderr an error quotes. */
const tailLines = 20
const tailCharacters = 4096

const isPosix = process.platform !== "win32"

const alive = new Set<ChildProcess.ChildProcess>()

const killGroup = (child: ChildProcess.ChildProcess, signal: NodeJS.Signals | 0): boolean => {
  if (child.pid === undefined) return false
  try {
    return isPosix ? process.kill(-child.pid, signal) : child.exitCode === null && child.kill(signal)
  } catch (error) {
    // The group is empty, or its process id belongs to another user now.
    if (error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM")) return false
    throw error
  }
}

/**
 * Whether a process of a group still runs. A signal also reaches processes that have exited and were not reaped, which in a container may
 * never happen; `/proc` tells them apart. On systems without `/proc` every group that can be signalled counts as running.
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
      // The process exited between the two reads.
      return false
    }
  })
}

const killAll = (): void => {
  for (const child of alive) killGroup(child, "SIGKILL")
}

/** Windows has no process groups. There, only the end of its input tells a server that this process has ended. */
const watchdog = isPosix ? new Watchdog() : undefined

const track = (child: ChildProcess.ChildProcess): void => {
  if (child.pid === undefined) return
  watchdog?.add(child.pid)
  if (alive.size === 0) process.on("exit", killAll)
  alive.add(child)
}

const untrack = (child: ChildProcess.ChildProcess): void => {
  if (!alive.delete(child)) return
  if (child.pid !== undefined) watchdog?.remove(child.pid)
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

/** A child process, from its start to the end of its whole group. */
export class Child {
  readonly process: ChildProcess.ChildProcessWithoutNullStreams
  /** Resolves when the leader has exited and its output has been read. */
  readonly exited: Promise<void>
  #ended = false
  #closing: Promise<void> | undefined
  readonly #stderr = new Ring()
  /** Removes the secrets of the definition from output of the child. */
  readonly redact: (text: string) => string
  /** Called when the child writes its first byte, and when it ends. */
  readonly onStarted: () => void

  constructor(options: {
    readonly process: ChildProcess.ChildProcessWithoutNullStreams
    readonly redact: (text: string) => string
    readonly onStarted: () => void
  }) {
    const { onStarted, process: child, redact } = options
    this.process = child
    this.redact = redact
    this.onStarted = onStarted
    child.stderr.once("data", onStarted)
    child.once("exit", onStarted)
    child.stderr.on("data", (chunk: Buffer) => this.#stderr.push(chunk))
    // A broken pipe shows as the exit that broke it. Without a listener the error would end this process.
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
        void firstOf({ event: drained, millis: drainTimeout }).then(() => resolve())
      })
    })
  }

  get hasExited(): boolean {
    return this.#ended
  }

  /** Returns the latest lines of stderr, secrets removed. */
  stderrTail(): string {
    return this.redact(this.#stderr.text()).trimEnd().split("\n").slice(-tailLines).join("\n").slice(-tailCharacters)
  }

  /** Returns a sentence if nothing ends the child when this process is killed. */
  warnings(): ReadonlyArray<string> {
    const failure = watchdog?.failure
    return failure === undefined ? [] : [`may outlive this process if that is killed: ${failure}`]
  }

  /** Returns how the child exited, as a reason. */
  exit(delivery: ServerExited["delivery"]): ServerExited {
    const { exitCode, signalCode } = this.process
    return new ServerExited({ exitCode, signal: signalCode, stderrTail: this.stderrTail(), delivery })
  }

  /** Ends the group, once, in at most three steps. Never fails. */
  close(): Promise<void> {
    return this.#closing ??= this.#close().finally(() => untrack(this.process))
  }

  async #close(): Promise<void> {
    const { process: child } = this
    child.stdin.end()
    if (!(await this.#isGone(stepTimeout, groupTimeout))) {
      killGroup(child, "SIGTERM")
      if (!(await this.#isGone(stepTimeout, stepTimeout))) {
        killGroup(child, "SIGKILL")
        await this.#isGone(stepTimeout, stepTimeout)
      }
    }
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    child.unref()
  }

  /** Waits until the leader has exited, at most `timeout`, and then until the group is empty, at most `groupTimeout`. */
  async #isGone(timeout: number, groupTimeout: number): Promise<boolean> {
    const deadline = performance.now() + timeout
    if (!this.#ended) {
      await firstOf({ event: this.exited, millis: timeout })
      if (!this.#ended) return false
    }
    const last = Math.min(deadline, performance.now() + groupTimeout)
    while (killGroup(this.process, 0) && hasSurvivors(this.process.pid)) {
      if (performance.now() >= last) return false
      await setTimeout(20)
    }
    return true
  }
}

/** Whether a file exists. One that may not be looked at counts as existing: the system knows better. */
const exists = (file: string): boolean => {
  try {
    return Fs.statSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

const isFolder = (path: string): boolean => Fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/**
 * The failure to start what does not exist: found by looking, which costs far less than a start that fails. A command that exists may still fail
 * to start.
 */
const findMissing = (options: {
  readonly command: string
  readonly cwd: string | undefined
  readonly path: string | undefined
}): SpawnFailed | undefined => {
  const { command, cwd, path } = options
  if (!isPosix) return undefined
  if (cwd !== undefined && !isFolder(cwd)) return new SpawnFailed({ command, code: "ENOENT", cwd })
  const from = cwd ?? process.cwd()
  // An absolute folder needs no resolution, which costs as much as the look at the file.
  const at = (folder: string) => folder.startsWith("/") ? `${folder}/${command}` : Path.resolve(from, folder, command)
  const folders = command.includes("/") ? [""] : path?.split(":")
  const isFound = folders?.some((folder) => exists(at(folder))) ?? true
  return isFound ? undefined : new SpawnFailed({ command, code: "ENOENT" })
}

const start = (options: {
  readonly config: Extract<ServerConfig, { readonly transport: "stdio" }>
  readonly env: Variables
  readonly onStarted: () => void
}): Effect.Effect<Child, SpawnFailed> =>
  Effect.callback((resume) => {
    const { config, env, onStarted } = options
    const { args, command, cwd } = config
    const fail = (error: Error) => {
      const code = "code" in error && typeof error.code === "string" ? error.code : error.name
      // The system reports ENOENT for a missing working directory, too.
      const isMisplaced = cwd !== undefined && !isFolder(cwd)
      onStarted()
      resume(Effect.fail(new SpawnFailed({ command, code, cwd: isMisplaced ? cwd : undefined, cause: error })))
    }
    try {
      const child = ChildProcess.spawn(command, args, {
        stdio: ["pipe", "pipe", "pipe"],
        env,
        cwd,
        detached: isPosix,
        windowsHide: true
      })
      track(child)
      child.once("error", fail)
      child.once("spawn", () => {
        child.off("error", fail)
        child.on("error", () => {})
        resume(Effect.succeed(new Child({ process: child, redact: redactorOf(config), onStarted })))
      })
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })

/** Starts the process of a stdio definition when the limit on process starts admits it, and ends it with the scope. */
export const spawn = Effect.fnUntraced(function*(
  config: Extract<ServerConfig, { readonly transport: "stdio" }>
): Effect.fn.Return<Child, SpawnFailed, Scope.Scope> {
  const { command, cwd } = config
  const env = childEnvironment({ definition: config, surroundings: process })
  const missing = findMissing({ command, cwd, path: env.PATH })
  if (missing !== undefined) return yield* missing
  const onStarted = yield* yield* ProcessStart
  return yield* Effect.acquireRelease(
    start({ config, env, onStarted }),
    (child) => Effect.promise(() => child.close())
  )
})
