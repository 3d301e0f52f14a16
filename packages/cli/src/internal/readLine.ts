/**
 * Reads lines that a user types or pastes at a terminal.
 */
import * as Effect from "effect/Effect"
import process from "node:process"
import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import type { InputStream } from "../Invocation.ts"

/** Writes the prompt, and nothing of what is typed after it. */
const promptOnly = (): Writable => {
  let hasPrompt = false
  return new Writable({
    write: (chunk, _encoding, done) => {
      if (hasPrompt) return done()
      hasPrompt = true
      process.stderr.write(chunk, () => done())
    }
  })
}

/**
 * Reads one line of stdin after a prompt on stderr; `undefined` is the end of the input. Both must be a terminal. Interruption gives the
 * terminal back.
 */
export const readLine: InputStream["readLine"] = ({ isHidden = false, prompt }) =>
  Effect.callback((resume) => {
    // In its own line mode, a terminal cuts lines at 1024 to 4096 bytes. A pasted URL may be longer.
    const lines = createInterface({
      input: process.stdin,
      output: isHidden ? promptOnly() : process.stderr,
      terminal: true,
      historySize: 0
    })
    // Closing ends the input, so the line comes first.
    const end = (line: string | undefined) => {
      resume(Effect.succeed(line))
      if (isHidden) process.stderr.write("\n")
      lines.close()
    }
    // Without the line mode, Ctrl+C is a character and no signal.
    lines.once("SIGINT", () => process.emit("SIGINT"))
    lines.once("line", end)
    lines.once("close", () => end(undefined))
    lines.setPrompt(prompt)
    lines.prompt()
    return Effect.sync(() => lines.close())
  })
