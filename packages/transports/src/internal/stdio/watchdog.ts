/**
 * Watchdog: ends the process groups of children when this process, or this worker, has ended without ending them itself.
 *
 * **Details**
 *
 * No code of a process runs when it is killed, nor that of a worker when it is terminated. But the system closes their ends of pipes. So a
 * small shell holds the other end of one, and a list of process groups that it is told over it. When the pipe closes, the groups that are
 * still on the list are ended in the usual steps: SIGTERM after the grace period, SIGKILL after another. The shell has a session of its own, so
 * the signals of a terminal do not reach it, and runs only while there are children.
 *
 * A group is on the list until it is empty. Where there is `/proc`, the start time of its leader tells whether its id was given to another
 * process since.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import type * as Net from "node:net"
import process from "node:process"
import { standardVariables } from "../inheritedVariables.ts"
import { gracePeriod } from "./gracePeriod.ts"

/** The arguments are the list at the start: this process may be killed before it has written a line. Each line read is `+ <group> <start time>` or `- <group>`. An entry of the list is `<group>:<start time>`. */
const script = `
trap '' HUP INT QUIT TERM
groups="$*"
while read -r change group start; do
  rest=
  for each in $groups; do [ "\${each%%:*}" = "$group" ] || rest="$rest $each"; done
  groups=$rest
  [ "$change" = + ] && groups="$groups $group:$start"
done
runs() {
  kill -s 0 -- "-$1" 2>/dev/null || return 1
  [ -n "$2" ] && [ -r "/proc/$1/stat" ] || return 0
  read -r stat < "/proc/$1/stat" || return 0
  set -- "$2" \${stat##*) }
  [ "$1" = "\${21}" ]
}
for signal in TERM KILL; do
  [ -n "$groups" ] || exit 0
  sleep "$GRACE_SECONDS"
  rest=
  for each in $groups; do
    runs "\${each%%:*}" "\${each#*:}" || continue
    kill -s "$signal" -- "-\${each%%:*}" 2>/dev/null
    rest="$rest $each"
  done
  groups=$rest
done
`

/** How long a shell has to run for another to be started in its place, in milliseconds. */
const stableAfter = 1000

/** The start time of a process in clock ticks since the boot; empty where the system has no `/proc`. */
const startTimeOf = (pid: number): string => {
  try {
    // After the name in parentheses: state, parent and so on; the start time is the 22nd field of all.
    return Fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")[19] ?? ""
  } catch {
    return ""
  }
}

export class Watchdog {
  readonly #program: string
  /** The start times of the leaders, by group. */
  readonly #groups = new Map<number, string>()
  #child: ChildProcess.ChildProcess | undefined
  #failure: string | undefined

  /** `program` runs the script. */
  constructor(program: string = "/bin/sh") {
    this.#program = program
  }

  /** Why there is no watchdog, if there is none. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** The process id of the shell. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Ends a group, given by its leader, when this process has ended. */
  add(group: number, startTime: string = startTimeOf(group)): void {
    this.#groups.set(group, startTime)
    if (this.#child === undefined) this.#start()
    else this.#tell(`+ ${group} ${startTime}`)
  }

  /** Takes a group off the list: it is empty. */
  remove(group: number): void {
    if (!this.#groups.delete(group)) return
    this.#tell(`- ${group}`)
    if (this.#groups.size === 0) this.closePipe()
  }

  /** Closes the pipe, as the end of this process does: ends the groups that are still on the list. */
  closePipe(): void {
    const child = this.#child
    this.#child = undefined
    child?.stdin?.end()
  }

  #tell(line: string): void {
    this.#child?.stdin?.write(`${line}\n`)
  }

  #start(): void {
    const startedAt = performance.now()
    let child: ChildProcess.ChildProcess
    try {
      const groups = Array.from(this.#groups, ([group, startTime]) => `${group}:${startTime}`)
      child = ChildProcess.spawn(this.#program, ["-c", script, "watchdog", ...groups], {
        stdio: ["pipe", "ignore", "ignore"],
        cwd: "/",
        env: { ...standardVariables(process), GRACE_SECONDS: String(gracePeriod / 1000) },
        detached: true
      })
    } catch (error) {
      return this.#fail(String(error))
    }
    this.#child = child
    this.#failure = undefined
    // The pipe breaks when the shell exits, which is handled below.
    child.stdin?.on("error", () => {})
    child.once("error", (error) => {
      if (this.#child === child) this.#fail(error.message)
    })
    child.once("exit", () => {
      if (this.#child !== child) return
      if (performance.now() - startedAt < stableAfter) return this.#fail(`${this.#program} exited`)
      this.#start()
    })
    child.unref()
    // A socket; in Bun, a stream that never keeps the process running and has no such method.
    const pipe = child.stdin as Partial<Net.Socket> | null
    pipe?.unref?.()
  }

  #fail(description: string): void {
    this.#child = undefined
    this.#failure = description
  }
}
