/**
 * Runs the command of `with`: with the streams of this process, its signals, and the exit status that a shell would give it.
 */
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { constants } from "node:os"
import process from "node:process"
import { onSignal, type Signal } from "./signals.ts"

/** How a command ended. */
export type Ending =
  | { readonly _tag: "Exited"; readonly status: number }
  /** The command did not start. `status` is that of a shell: 127 for a missing command, 126 for any other failure. */
  | { readonly _tag: "NotStarted"; readonly status: number; readonly code: string }

/**
 * Whether Ctrl+C at a terminal reaches this process and its child alike. That is so if this process is in the foreground of a terminal; without `/proc`,
 * if it has a terminal.
 */
const isInForeground = (): boolean => {
  try {
    // After the name in parentheses: state, parent, group, session, terminal, foreground group of the terminal.
    const [, , group, , , foreground] = Fs.readFileSync("/proc/self/stat", "utf8").replace(/^.*\) /s, "").split(" ")
    return group === foreground
  } catch {
    // There is no `/proc`.
    return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  }
}

const codeOf = (error: Error): string => "code" in error ? String(error.code) : error.name

const notStarted = (error: Error): Ending => {
  const code = codeOf(error)
  return { _tag: "NotStarted", status: code === "ENOENT" ? 127 : 126, code }
}

/** Passes a signal on to a child, unless the terminal has done that. */
const forward = (...[child, signal]: readonly [child: ChildProcess.ChildProcess, signal: Signal]): void => {
  if (signal !== "SIGINT" || !isInForeground()) child.kill(signal)
}

/**
 * Runs a command to its end and passes the signals of this process on to it. Interruption sends it SIGTERM and waits for its end. Descendants that
 * outlive the command are not waited for.
 */
export const runChild = (options: {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly directory: string
  readonly environment: Readonly<Record<string, string | undefined>>
}): Effect.Effect<Ending> =>
  Effect.callback((resume) => {
    const { args, command, directory, environment } = options
    let child: ChildProcess.ChildProcess
    try {
      child = ChildProcess.spawn(command, args, { stdio: "inherit", cwd: directory, env: environment })
    } catch (error) {
      return resume(Effect.succeed(notStarted(error instanceof Error ? error : new Error(String(error)))))
    }
    const release = onSignal((signal) => forward(child, signal))
    const ended = new Promise<Ending>((resolve) => {
      child.once("error", (error) => resolve(notStarted(error)))
      child.once("exit", (code, signal) =>
        resolve({ _tag: "Exited", status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) }))
    }).finally(release)
    void ended.then((ending) =>
      resume(Effect.succeed(ending))
    )
    return Effect.promise(() => {
      child.kill("SIGTERM")
      return ended
    })
  })
