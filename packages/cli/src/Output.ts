/**
 * Output of the command line: results go to stdout, everything else to stderr.
 *
 * @since 0.1.0
 */
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Style, styleText } from "./internal/styleText.ts"
import { Invocation, type OutputStream } from "./Invocation.ts"
import { content, cut, json, name, type Shown, trusted } from "./Shown.ts"
import { wrap } from "./WordWrap.ts"

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
  /** Writes a line to stdout and waits until it is written. A terminal shows it wrapped at words. */
  readonly print: (line: Shown) => Effect.Effect<void, OutputClosed>
  /** Writes a result of a server to stdout: as it is, unless stdout is a terminal. */
  readonly printContent: (text: string) => Effect.Effect<void, OutputClosed>
  /** Writes bytes to stdout as they are. */
  readonly printBytes: (bytes: Uint8Array) => Effect.Effect<void, OutputClosed>
  /** Writes a JSON document to stdout. */
  readonly printJson: (value: unknown) => Effect.Effect<void, OutputClosed>
  /** Writes a JSON document on one line to stdout. */
  readonly printJsonLine: (value: unknown) => Effect.Effect<void, OutputClosed>
  /** Writes a line to stderr. Ignores a closed stderr. A terminal shows it wrapped at words. */
  readonly note: (line: Shown) => Effect.Effect<void>
  /** Writes a JSON document on one line to stderr. */
  readonly noteJson: (value: unknown) => Effect.Effect<void>
  /** Replaces the progress line on a terminal. Without a text, removes it. */
  readonly progress: (text: Shown | undefined) => Effect.Effect<void>
  /** Colours text for stdout. Plain text is shown as a name. */
  readonly style: (format: Style, text: Shown | string) => Shown
  /** Colours text for stderr. Plain text is shown as a name. */
  readonly styleNote: (format: Style, text: Shown | string) => Shown
}>()("@mcp-sessions/cli/Output") {}

/**
 * Layer that writes to the streams of the invocation.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Output, never, Invocation> = Layer.effect(
  Output,
  Effect.map(Invocation, ({ stderr, stdout }) => {
    let isProgressShown = false

    const writeNote = (text: string) => Effect.asVoid(stderr.write(text))
    const clear = Effect.suspend(() => {
      if (!isProgressShown) return Effect.void
      isProgressShown = false
      return writeNote("\r\u001b[K")
    })
    const write = (data: string | Uint8Array) =>
      Effect.andThen(
        clear,
        Effect.flatMap(
          stdout.write(data),
          (code) => code === undefined ? Effect.void : Effect.fail(new OutputClosed({ code }))
        )
      )
    const writeLine = (text: string) => write(`${text}\n`)
    /** Breaks lines at words where the terminal would break them anywhere. */
    const fitted = ({ columns, isTerminal }: OutputStream, { text }: Shown): string =>
      isTerminal
        ? text.split("\n").flatMap((line) => wrap(trusted(line), columns())).map(({ text }) => text).join("\n")
        : text
    const note = (line: Shown) => Effect.andThen(clear, writeNote(`${fitted(stderr, line)}\n`))
    const styleFor = ({ hasColours }: OutputStream) => (format: Style, text: Shown | string) => {
      const shown = typeof text === "string" ? name(text) : text
      return hasColours ? trusted(styleText(format, shown.text)) : shown
    }
    const styleNote = styleFor(stderr)
    return {
      print: (line) => writeLine(fitted(stdout, line)),
      printContent: (text) => writeLine(stdout.isTerminal ? content(text).text : text),
      printJson: (value) => writeLine(json(ExactNumbers.stringify(value, 2)).text),
      printJsonLine: (value) => writeLine(json(ExactNumbers.stringify(value)).text),
      printBytes: write,
      note,
      noteJson: (value) => Effect.andThen(clear, writeNote(`${json(ExactNumbers.stringify(value)).text}\n`)),
      progress: (text) =>
        Effect.suspend(() => {
          if (!stderr.isTerminal || text === undefined) return clear
          isProgressShown = true
          return writeNote(`\r\u001b[K${styleNote("dim", cut(text, stderr.columns() - 1)).text}`)
        }),
      style: styleFor(stdout),
      styleNote
    }
  })
)
