/**
 * The line editor of the terminal of this process. One interface has the terminal all the time, so that pasted lines are kept and Ctrl+C reaches
 * it while a command runs.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import process from "node:process"
import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import type { EditorOptions, Line, LineEditor } from "../LineEditor.ts"

/** How many commands can be called back. */
const historyLimit = 1000

/** The output of the editor: stdout, unless what is typed is hidden. */
class Screen extends Writable {
  isHidden = false
  readonly isTTY = true

  get columns(): number {
    return process.stdout.columns
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.isHidden) done()
    else process.stdout.write(chunk, done)
  }
}

/** Opens the editor for as long as the scope. */
export const openTerminalEditor = (
  { complete, history }: EditorOptions
): Effect.Effect<LineEditor, never, Scope.Scope> =>
  Effect.gen(function*() {
    const screen = new Screen()
    const lines = yield* Queue.unbounded<Line>()
    const interrupts = yield* Queue.sliding<void>(1)
    const run = Effect.runPromiseWith(yield* Effect.context<never>())
    let isReading = false
    let entries: Array<string> | undefined
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createInterface({
          input: process.stdin,
          output: screen,
          terminal: true,
          history: history.slice(0, historyLimit),
          historySize: historyLimit,
          removeHistoryDuplicates: true,
          completer: (line: string, done: (error: null, found: [Array<string>, string]) => void) => {
            if (!isReading) return done(null, [[], line])
            void run(complete(line)).then(({ candidates, partial }) => done(null, [[...candidates], partial]))
          }
        })
      ),
      (reader) => Effect.sync(() => reader.close())
    )
    // A line is not a command yet, and an answer never is: commands are remembered as a whole.
    reader.on("history", (list: Array<string>) => {
      entries = list
      entries.shift()
    })
    reader.on("line", (text) => Queue.offerUnsafe(lines, { _tag: "Entered", text }))
    reader.on("close", () => Queue.offerUnsafe(lines, { _tag: "Ended" }))
    reader.on("SIGINT", () => {
      if (!isReading) return Queue.offerUnsafe(interrupts, undefined)
      process.stdout.write("^C\n")
      // Clears what was typed, without reading it.
      reader.write(null, { ctrl: true, name: "e" })
      reader.write(null, { ctrl: true, name: "u" })
      return Queue.offerUnsafe(lines, { _tag: "Cancelled" })
    })
    const next = (prompt: string) =>
      Effect.suspend(() => {
        reader.setPrompt(prompt)
        reader.prompt()
        return Queue.take(lines)
      })
    return {
      read: (prompt) =>
        Effect.suspend(() => {
          isReading = true
          return Effect.ensuring(
            next(prompt),
            Effect.sync(() => {
              isReading = false
            })
          )
        }),
      remember: (command) =>
        Effect.sync(() => {
          const list = entries?.filter((entry) => entry !== command) ?? []
          entries?.splice(0, entries.length, command, ...list.slice(0, historyLimit - 1))
        }),
      interrupted: Effect.andThen(Queue.clear(interrupts), Queue.take(interrupts)),
      readLine: ({ isHidden = false, prompt }) =>
        Effect.suspend(() => {
          process.stdout.write(isHidden ? prompt : "")
          screen.isHidden = isHidden
          return Effect.ensuring(
            Effect.map(next(isHidden ? "" : prompt), (line) => line._tag === "Entered" ? line.text : undefined),
            Effect.sync(() => {
              if (screen.isHidden) process.stdout.write("\n")
              screen.isHidden = false
            })
          )
        })
    }
  })
