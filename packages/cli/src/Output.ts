/**
 * What the command line shows, and where: answers on stdout, everything else on stderr.
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
 * The output cannot be written: nobody reads it any more, as when it is piped into `head`, or there is no room for it.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputClosed
  extends Schema.TaggedError<OutputClosed>("@mcp-sessions/cli/OutputClosed")("OutputClosed", { code: Schema.String })
{
  /** Whether the reader left, which is no failure. */
  get isQuiet(): boolean {
    return this.code === "EPIPE" || this.code === "EOF" || this.code === "ERR_STREAM_DESTROYED"
  }
}

/**
 * Service that writes to the terminal or to whatever stands in for it.
 *
 * @category services
 * @since 0.1.0
 */
export class Output extends Context.Service<Output, {
  /** Writes a line to stdout and waits until it is taken. */
  readonly answer: (line: string) => Effect.Effect<void, OutputClosed>
  /** Writes a JSON document to stdout. */
  readonly answerJson: (value: unknown) => Effect.Effect<void, OutputClosed>
  /** Writes a line to stderr. A closed stderr is no reason to stop. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Replaces the line that shows what is going on; only on a terminal. An empty text removes it. */
  readonly progress: (text: string) => Effect.Effect<void>
  /** Colours text that goes to stdout. */
  readonly style: (format: process.Style, text: string) => string
  /** Colours text that goes to stderr. */
  readonly styleNote: (format: process.Style, text: string) => string
  /** Makes text of a peer fit for stdout: on a terminal without control characters, elsewhere as it is. */
  readonly peer: (text: string) => string
  /** The same for stderr. */
  readonly peerNote: (text: string) => string
}>()("@mcp-sessions/cli/Output") {}

/**
 * Removes control characters, so that what a server says cannot move the cursor or forge lines. Newlines and tabs stay.
 *
 * @category rendering
 * @since 0.1.0
 */
export const sanitize = (text: string): string => text.replaceAll(controlCharacters, "")

// oxlint-disable-next-line no-control-regex
const controlCharacters = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/**
 * Layer that writes to this process's own streams.
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
  const answer = (line: string) =>
    Effect.andThen(
      clear,
      Effect.flatMap(
        Effect.promise(() => process.write({ stream: "stdout", text: `${line}\n` })),
        (code) => code === undefined ? Effect.void : Effect.fail(new OutputClosed({ code }))
      )
    )
  return {
    answer,
    answerJson: (value) => answer(toJson(value, 2)),
    note: (line) => Effect.andThen(clear, note(`${line}\n`)),
    progress: (text) =>
      Effect.suspend(() => {
        if (!showsProgress || text === "") return clear
        shown = true
        return note(`\r\u001b[K${process.style({ stream: "stderr", format: "dim", text })}`)
      }),
    style: (format, text) => process.style({ stream: "stdout", format, text }),
    styleNote: (format, text) => process.style({ stream: "stderr", format, text }),
    peer: (text) => isTerminal ? sanitize(text) : text,
    peerNote: (text) => showsProgress ? sanitize(text) : text
  }
})
