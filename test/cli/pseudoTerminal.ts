/**
 * Runs programs in a pseudo-terminal, and reads what its screen shows. Works wherever node-pty has a prebuilt binary: Linux, macOS and
 * Windows.
 */
import { type IPty, spawn } from "@lydell/node-pty"
import headless from "@xterm/headless"
import { Effect, type Scope } from "effect"

export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly directory: string
  readonly env: Record<string, string>
  readonly columns: number
  readonly rows: number
}

/** Neighbouring characters of a line with the same look. */
export interface Run {
  readonly text: string
  readonly look: { readonly isBold: boolean; readonly isDim: boolean; readonly colour: number | undefined }
}

export interface PseudoTerminal {
  /** The lines of the screen, without spaces at their ends and empty lines at the end. */
  readonly screen: () => ReadonlyArray<string>
  /** The lines of the screen with their colours: numbers of the palette. */
  readonly runs: () => ReadonlyArray<ReadonlyArray<Run>>
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

const open = ({ args, columns, command, directory, env, rows }: Program) => {
  const child = spawn(command, [...args], { name: "xterm-256color", cols: columns, rows, cwd: directory, env })
  const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true })
  return { child, terminal }
}

const end = (child: IPty) =>
  Effect.sync(() => {
    try {
      child.kill("SIGKILL")
    } catch {
      // It has ended.
    }
  })

const linesOf = (terminal: headless.Terminal) => {
  const { active } = terminal.buffer
  const lines = Array.from({ length: terminal.rows }, (_, row) => active.getLine(active.baseY + row))
  const texts = lines.map((line) => line?.translateToString(true).trimEnd() ?? "")
  const count = texts.findLastIndex((text) => text !== "") + 1
  return { lines: lines.slice(0, count), texts: texts.slice(0, count) }
}

/** Joins the cells of a line that look alike. */
const runsOf = ({ line, length }: {
  readonly line: ReturnType<headless.IBuffer["getLine"]>
  readonly length: number
}): ReadonlyArray<Run> => {
  const runs: Array<Run> = []
  for (let column = 0; column < length; column++) {
    const cell = line?.getCell(column)
    if (cell === undefined || cell.getWidth() === 0) continue
    const text = cell.getChars() || " "
    const look = {
      isBold: cell.isBold() !== 0,
      isDim: cell.isDim() !== 0,
      colour: cell.isFgPalette() ? cell.getFgColor() : undefined
    }
    const last = runs.at(-1)
    const isAlike = last?.look.isBold === look.isBold && last.look.isDim === look.isDim &&
      last.look.colour === look.colour
    if (last !== undefined && isAlike) runs[runs.length - 1] = { text: last.text + text, look }
    else runs.push({ text, look })
  }
  return runs
}

const runsOfScreen = (terminal: headless.Terminal): ReadonlyArray<ReadonlyArray<Run>> => {
  const { lines, texts } = linesOf(terminal)
  return lines.map((line, index) => runsOf({ line, length: texts[index]?.length ?? 0 }))
}

/** Shows a text with control codes on a screen, and gives its lines with their colours. */
export const render = ({ columns, rows, text }: {
  readonly text: string
  readonly columns: number
  readonly rows: number
}): Effect.Effect<ReadonlyArray<ReadonlyArray<Run>>> =>
  Effect.callback((resume) => {
    const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true })
    terminal.write(text, () => resume(Effect.sync(() => runsOfScreen(terminal))))
  })

/** Starts a program in a pseudo-terminal. It is killed with the scope. */
export const start = (program: Program): Effect.Effect<PseudoTerminal, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { child, terminal } = yield* Effect.acquireRelease(
      Effect.sync(() => open(program)),
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
      // What was written before the end is on the screen first.
      terminal.write("", () => {
        status = signal === undefined || signal === 0 ? exitCode : 128 + signal
        check()
      })
    })
    terminal.onData((answer) => child.write(answer))
    const screen = () => linesOf(terminal).texts
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
      runs: () => runsOfScreen(terminal),
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
