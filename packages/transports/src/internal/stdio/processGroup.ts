/**
 * Process group of a child process: starts the child and ends the whole group.
 *
 * The child leads a process group of its own, so that its descendants can be signalled too. Closing ends its input, sends SIGTERM to the
 * group after one second and SIGKILL after another; then it waits for the exit, and for members of the group that outlive the leader.
 * If this process exits without closing its children, their groups are killed on exit; if it is killed, the watchdog ends them.
 */
import { SpawnFailed } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import type { Process, Processes, ProcessExit, ProcessOptions } from "../../Processes.ts"
import { firstOf } from "../timeout.ts"
import { gracePeriod } from "./gracePeriod.ts"
import { Watchdog } from "./watchdog.ts"

/** How long the group may outlive a leader that exited on the end of its input, in milliseconds. */
const groupTimeout = 100

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

/** A child process, from its start to the end of its whole group. */
class Child implements Process {
  readonly pid: number | undefined
  readonly stdin: ChildProcess.ChildProcessWithoutNullStreams["stdin"]
  readonly stdout: ChildProcess.ChildProcessWithoutNullStreams["stdout"]
  readonly stderr: ChildProcess.ChildProcessWithoutNullStreams["stderr"]
  readonly exited: Promise<ProcessExit>
  readonly #process: ChildProcess.ChildProcessWithoutNullStreams
  #ended = false
  #closing: Promise<void> | undefined

  constructor(child: ChildProcess.ChildProcessWithoutNullStreams) {
    this.#process = child
    this.pid = child.pid
    this.stdin = child.stdin
    this.stdout = child.stdout
    this.stderr = child.stderr
    // A broken pipe shows as the exit that broke it. Without a listener the error would end this process.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => {})
    this.exited = new Promise((resolve) => {
      child.once("exit", (exitCode, signal) => {
        this.#ended = true
        resolve({ exitCode, signal })
      })
    })
  }

  /** Returns a sentence if nothing ends the child when this process is killed. */
  warnings(): ReadonlyArray<string> {
    const failure = watchdog?.failure
    return failure === undefined ? [] : [`may outlive this process if that is killed: ${failure}`]
  }

  /** Ends the group, once, in at most three steps. Never fails. */
  close(): Promise<void> {
    return this.#closing ??= this.#close().finally(() => untrack(this.#process))
  }

  async #close(): Promise<void> {
    const child = this.#process
    child.stdin.end()
    if (!(await this.#isGone(gracePeriod, groupTimeout))) {
      killGroup(child, "SIGTERM")
      if (!(await this.#isGone(gracePeriod, gracePeriod))) {
        killGroup(child, "SIGKILL")
        await this.#isGone(gracePeriod, gracePeriod)
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
    while (killGroup(this.#process, 0) && hasSurvivors(this.pid)) {
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

const start = ({ args, command, cwd, env }: ProcessOptions): Effect.Effect<Child, SpawnFailed> =>
  Effect.callback((resume) => {
    const fail = (error: Error) => {
      const code = "code" in error && typeof error.code === "string" ? error.code : error.name
      // The system reports ENOENT for a missing working directory, too.
      const isMisplaced = cwd !== undefined && !isFolder(cwd)
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
        resume(Effect.succeed(new Child(child)))
      })
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })

/** Starts processes of this machine, and ends the group of each with its scope. */
export const childProcesses: Processes = {
  prepare: ({ command, cwd, env }) =>
    Effect.suspend(() => findMissing({ command, cwd, path: env.PATH }) ?? Effect.void),
  start: (options) => Effect.acquireRelease(start(options), (child) => Effect.promise(() => child.close()))
}
