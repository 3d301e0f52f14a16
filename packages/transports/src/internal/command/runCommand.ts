/**
 * Runs a command to its end, without a shell, and returns what it printed. Its time and its output are bounded, and it leaves no process behind.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as ChildProcess from "node:child_process"
import * as process from "node:process"

/** A program, its arguments, and variables beside those of this process. */
export interface Command {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** A command did not do its work. Says nothing of its output, which may hold secrets. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly message: string }> {}

/** How much output is read, in bytes. */
const outputLimit = 64 * 1024

const isPosix = process.platform !== "win32"

const kill = (child: ChildProcess.ChildProcess): void => {
  try {
    if (isPosix && child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    else child.kill("SIGKILL")
  } catch {
    // The group has ended.
  }
}

/** Runs a command for `timeout` milliseconds at most. Interrupting kills it with its descendants. */
export const runCommand = (
  { args, command, env, timeout }: Command & { readonly timeout: number }
): Effect.Effect<string, CommandFailed> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const child = ChildProcess.spawn(command, args, {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, ...env },
      // A group of its own, which can be killed as a whole.
      detached: isPosix,
      windowsHide: true
    })
    const fail = (message: string) => {
      end()
      resume(Effect.fail(new CommandFailed({ message })))
    }
    const timer = setTimeout(() => fail(`the command did not end within ${timeout} ms`), timeout)
    const end = () => {
      clearTimeout(timer)
      kill(child)
    }
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.byteLength
      if (size > outputLimit) fail(`the command printed more than ${outputLimit} bytes`)
      else chunks.push(chunk)
    })
    child.once("error", (error) => {
      const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : ""
      fail(`the command cannot be started${code}`)
    })
    child.once("close", (code, signal) => {
      if (code !== 0) return fail(`the command ended with ${signal ?? `status ${code}`}`)
      end()
      resume(Effect.succeed(Buffer.concat(chunks).toString("utf8")))
    })
    return Effect.sync(end)
  })
