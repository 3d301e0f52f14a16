/**
 * Process group of a child process: starts the child and ends the whole group.
 *
 * The child leads a process group of its own, so that its descendants can be signalled too. Closing ends its input, sends SIGTERM to the
 * group after one second and SIGKILL after another; then it waits for the exit, and for members of the group that outlive the leader.
 * If this process exits without closing its children, their groups are killed on exit; if it is killed, the watchdog ends them. Loads nothing but
 * Node.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import type { ProcessOptions } from "../../Processes.ts"
import { firstOf } from "../timeout.ts"
import { gracePeriod } from "./gracePeriod.ts"
import type { Process, ProcessExit } from "./processPort.ts"
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
export class Child implements Process {
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

/** Starts a process, and settles once, with the child or the error of the system. */
export const startChild = (
  ...[{ args, command, cwd, env }, settle]: readonly [
    options: Omit<ProcessOptions, "given">,
    settle: (started: Child | Error) => void
  ]
): void => {
  try {
    const child = ChildProcess.spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env,
      cwd,
      detached: isPosix,
      windowsHide: true
    })
    track(child)
    child.once("error", settle)
    child.once("spawn", () => {
      child.off("error", settle)
      child.on("error", () => {})
      settle(new Child(child))
    })
  } catch (error) {
    settle(error instanceof Error ? error : new Error(String(error)))
  }
}
