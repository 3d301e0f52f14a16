/**
 * Runs the published bundle in a pseudo-terminal, and reads what its screen shows. Works wherever node-pty has a prebuilt binary: Linux, macOS and
 * Windows.
 */
import { type IPty, spawn } from "@lydell/node-pty"
import headless from "@xterm/headless"
import { Effect, type Scope } from "effect"
import { bin, type Workplace } from "./cli.ts"

export interface TestTerminal {
  /** The lines of the screen, without spaces at their ends and empty lines at the end. */
  readonly screen: () => ReadonlyArray<string>
  /** Whether the cursor is shown, and which of the two screens. */
  readonly modes: () => { readonly isCursorShown: boolean; readonly isAlternate: boolean }
  /** Everything that was written, with its control codes. */
  readonly written: () => string
  /** Waits until the screen shows a text, and gives the first group of the pattern, or all of it. */
  readonly shows: (pattern: RegExp) => Effect.Effect<string>
  /** Waits until what was written has a text: for what a screen does not keep. */
  readonly writes: (pattern: RegExp) => Effect.Effect<string>
  readonly type: (keys: string) => void
  readonly resize: (columns: number, rows: number) => void
  readonly kill: (signal: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL") => void
  /** Waits for the end of the process, and gives its exit status. */
  readonly exit: Effect.Effect<number>
}

export const keys = { ctrlC: "\u0003", ctrlD: "\u0004", enter: "\r", tab: "\t", up: "\u001b[A", escape: "\u001b" }

const open = (place: Workplace, words: ReadonlyArray<string>, options: TerminalOptions) => {
  const { columns = 80, env = {}, rows = 24 } = options
  const child = spawn(process.execPath, [bin(), ...words], {
    name: "xterm-256color",
    cols: columns,
    rows,
    cwd: place.directory,
    env: { PATH: process.env.PATH ?? "", HOME: place.directory, TERM: "xterm-256color", LANG: "C.UTF-8", ...env }
  })
  const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true })
  return { child, terminal }
}

export interface TerminalOptions {
  readonly columns?: number
  readonly rows?: number
  readonly env?: Record<string, string>
}

const end = (child: IPty) =>
  Effect.sync(() => {
    try {
      child.kill("SIGKILL")
    } catch {
      // It has ended.
    }
  })

/** Starts a command in a pseudo-terminal. It is killed with the scope. */
export const start = (
  place: Workplace,
  words: ReadonlyArray<string>,
  options: TerminalOptions = {}
): Effect.Effect<TestTerminal, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { child, terminal } = yield* Effect.acquireRelease(
      Effect.sync(() => open(place, words, options)),
      ({ child }) => end(child)
    )
    let written = ""
    let status: number | undefined
    const waiting = new Set<() => void>()
    const check = () => {
      for (const one of waiting) one()
    }
    child.onData((data) => {
      written += data
      terminal.write(data, check)
    })
    child.onExit(({ exitCode, signal }) => {
      status = signal === undefined || signal === 0 ? exitCode : 128 + signal
      // What was written before the end is on the screen first.
      terminal.write("", check)
    })
    terminal.onData((answer) => child.write(answer))
    const screen = () => {
      const { active } = terminal.buffer
      const lines = Array.from({ length: terminal.rows }, (_, row) =>
        active.getLine(active.baseY + row)?.translateToString(true).trimEnd() ?? "")
      return lines.slice(
        0,
        lines.findLastIndex((line) =>
          line !== ""
        ) + 1
      )
    }
    const wait = <A>(expected: unknown, read: () => A | undefined) =>
      Effect.callback<A>((resume) => {
        const one = () => {
          const value = read()
          if (value === undefined) return
          waiting.delete(one)
          resume(Effect.succeed(value))
        }
        waiting.add(one)
        one()
        return Effect.sync(() => waiting.delete(one))
      }).pipe(Effect.timeoutOrElse({
        // Far more than anything takes on a busy machine: this tells where a test waits in vain.
        duration: "60 seconds",
        orElse: () =>
          Effect.die(new Error(`waited for ${String(expected)}, but the screen shows\n${screen().join("\n")}`))
      }))
    const match = (pattern: RegExp, text: string) => {
      const [all, group] = pattern.exec(text) ?? []
      return group ?? all
    }
    return {
      screen,
      modes: () => ({
        isCursorShown: written.lastIndexOf("\u001b[?25h") >= written.lastIndexOf("\u001b[?25l"),
        isAlternate: terminal.buffer.active.type === "alternate"
      }),
      written: () => written,
      shows: (pattern) => wait(pattern, () => match(pattern, screen().join("\n"))),
      writes: (pattern) => wait(pattern, () => match(pattern, written)),
      type: (keys) => child.write(keys),
      resize: (columns, rows) => {
        terminal.resize(columns, rows)
        child.resize(columns, rows)
      },
      kill: (signal) => child.kill(signal),
      exit: wait("the end", () => status)
    }
  })
