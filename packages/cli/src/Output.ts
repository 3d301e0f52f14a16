/**
 * Output of the command line: results go to stdout, everything else to stderr.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as process from "./internal/process.ts"
import { toJson } from "./internal/text.ts"

/**
 * Failure to write to stdout: the reader closed the pipe, as `head` does, or the disk is full.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputClosed
  extends Schema.TaggedError<OutputClosed>("@mcp-sessions/cli/OutputClosed")("OutputClosed", { code: Schema.String })
{
  /** Whether the reader closed the pipe, which needs no message. */
  get isQuiet(): boolean {
    return this.code === "EPIPE" || this.code === "EOF" || this.code === "ERR_STREAM_DESTROYED"
  }
}

/**
 * Service that writes the output of commands.
 *
 * @category services
 * @since 0.1.0
 */
export class Output extends Context.Service<Output, {
  /** Writes a line to stdout and waits until it is written. */
  readonly print: (line: string) => Effect.Effect<void, OutputClosed>
  /** Writes a JSON document to stdout. */
  readonly printJson: (value: unknown) => Effect.Effect<void, OutputClosed>
  /** Writes a line to stderr. Ignores a closed stderr. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Replaces the progress line on a terminal. An empty text removes it. */
  readonly progress: (text: string) => Effect.Effect<void>
  /** Colours text for stdout. */
  readonly style: (format: process.Style, text: string) => string
  /** Colours text for stderr. */
  readonly styleNote: (format: process.Style, text: string) => string
  /** Removes control characters from text of a server if stdout is a terminal. */
  readonly sanitize: (text: string) => string
  /** Removes control characters from text of a server if stderr is a terminal. */
  readonly sanitizeNote: (text: string) => string
}>()("@mcp-sessions/cli/Output") {}

/**
 * Removes control characters except newlines and tabs, so that text of a server cannot move the cursor or forge lines.
 *
 * @category rendering
 * @since 0.1.0
 */
export const sanitize = (text: string): string => text.replaceAll(controlCharacters, "")

// oxlint-disable-next-line no-control-regex
const controlCharacters = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/**
 * Layer that writes to stdout and stderr of this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Output> = Layer.sync(Output, () => {
  process.tolerateBrokenPipes()
  const showsProgress = process.isTerminal("stderr")
  const isTerminal = process.isTerminal("stdout")
  let shown = false

  const note = (text: string) => Effect.asVoid(Effect.promise(() => process.write({ stream: "stderr", text })))
  const clear = Effect.suspend(() => {
    if (!shown) return Effect.void
    shown = false
    return note("\r\u001b[K")
  })
  const print = (line: string) =>
    Effect.andThen(
      clear,
      Effect.flatMap(
        Effect.promise(() => process.write({ stream: "stdout", text: `${line}\n` })),
        (code) => code === undefined ? Effect.void : Effect.fail(new OutputClosed({ code }))
      )
    )
  return {
    print,
    printJson: (value) => print(toJson(value, 2)),
    note: (line) => Effect.andThen(clear, note(`${line}\n`)),
    progress: (text) =>
      Effect.suspend(() => {
        if (!showsProgress || text === "") return clear
        shown = true
        return note(`\r\u001b[K${process.style({ stream: "stderr", format: "dim", text })}`)
      }),
    style: (format, text) => process.style({ stream: "stdout", format, text }),
    styleNote: (format, text) => process.style({ stream: "stderr", format, text }),
    sanitize: (text) => isTerminal ? sanitize(text) : text,
    sanitizeNote: (text) => showsProgress ? sanitize(text) : text
  }
})
