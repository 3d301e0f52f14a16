/**
 * Modes of the terminal that this process changes, and gives back however it ends.
 */
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import process from "node:process"
import type { WriteStream } from "node:tty"
import type { OutputStream } from "../Invocation.ts"

/** Succeeds when the terminal has another size, or the process goes on after it was stopped. */
export const resized = (stream: WriteStream): Effect.Effect<void> =>
  stream.isTTY
    ? Effect.callback((resume) => {
      const end = () => resume(Effect.void)
      stream.once("resize", end)
      process.once("SIGCONT", end)
      return Effect.sync(() => {
        stream.off("resize", end)
        process.off("SIGCONT", end)
      })
    })
    : Effect.never

/** Writes at once: the process is about to end or to stop. */
const writeNow = (fd: number, text: string): void => {
  try {
    writeSync(fd, text)
  } catch {
    // The terminal is gone, and its modes with it.
  }
}

/** Changes modes for as long as the scope. They are also given back while the process is stopped, and when it ends. */
export const withModes = (
  fd: number,
  write: OutputStream["write"]
): OutputStream["withModes"] =>
({ enter, leave }) => {
  const onExit = () => writeNow(fd, leave)
  const onContinue = () => writeNow(fd, enter)
  const onStop = () => {
    writeNow(fd, leave)
    process.kill(process.pid, "SIGSTOP")
  }
  return Effect.acquireRelease(
    Effect.suspend(() => {
      process.on("exit", onExit)
      process.on("SIGTSTP", onStop)
      process.on("SIGCONT", onContinue)
      return Effect.asVoid(write(enter))
    }),
    () =>
      Effect.suspend(() => {
        process.off("exit", onExit)
        process.off("SIGTSTP", onStop)
        process.off("SIGCONT", onContinue)
        return write(leave)
      })
  )
}
