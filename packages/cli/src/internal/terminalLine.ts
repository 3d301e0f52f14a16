/**
 * Reads lines that a user types or pastes at a terminal. Loads nothing but Node.
 */
import process from "node:process"
import { createInterface } from "node:readline"
import { Writable } from "node:stream"

/** Shows nothing of what is typed. */
const nothing = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

/**
 * Reads one line of stdin after a prompt on stderr, both of which are a terminal. `line` is `undefined` at the end of the input; `stop` gives
 * the terminal back.
 */
export const readTerminalLine = ({ isHidden, prompt }: {
  readonly prompt: string
  readonly isHidden: boolean
}): { readonly line: Promise<string | undefined>; readonly stop: () => void } => {
  // In its own line mode, a terminal cuts lines at 1024 to 4096 bytes. A pasted URL may be longer.
  const lines = createInterface({
    input: process.stdin,
    output: isHidden ? nothing() : process.stderr,
    terminal: true,
    historySize: 0
  })
  const line = new Promise<string | undefined>((resolve) => {
    lines.once("line", (line) => {
      resolve(line)
      lines.close()
    })
    lines.once("close", () => {
      if (isHidden) process.stderr.write("\n")
      resolve(undefined)
    })
  })
  // Without the line mode, Ctrl+C is a character and no signal.
  lines.once("SIGINT", () => {
    process.stderr.write(isHidden ? "^C" : "^C\n")
    process.emit("SIGINT", "SIGINT")
  })
  if (isHidden) process.stderr.write(prompt)
  lines.setPrompt(prompt)
  lines.prompt()
  return { line, stop: () => lines.close() }
}
