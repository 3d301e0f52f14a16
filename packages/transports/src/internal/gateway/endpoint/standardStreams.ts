/**
 * Standard streams: lines from and to the one client of this process, on stdin and stdout.
 *
 * While the client leaves much of the output unread, no more of its input is read. A client that leaves far more is given up.
 */
import process from "node:process"

/** How many bytes of the output may be unread before the input waits, and before the client is given up. */
const [pauseSize, maxUnread] = [1024 ** 2, 16 * 1024 ** 2]

/** Why no more lines come. */
export type StreamsEnd =
  | "InputEnded"
  | "InputFailed"
  | "LineTooLong"
  /** The client has closed its end of the output. */
  | "OutputClosed"
  /** The client does not read the output. */
  | "OutputUnread"

/** Whether errors of stdout have a listener. Without one, an error after the end of the endpoint would end the process. */
let isHandled = false

export class StandardStreams {
  readonly #maxLineLength: number
  readonly #onLine: (line: string) => void
  readonly #onEnd: (end: StreamsEnd) => void
  readonly #onGone: () => void
  #rest = ""
  /** Whether nobody receives what is written. */
  #isGone = false
  /** Whether no more lines come. */
  #isOver = false

  /**
   * Reads lines until `close`. `onEnd` is called once, when no more lines come, and `onGone` once nobody receives what is written.
   * `maxLineLength` is in characters.
   */
  constructor({ maxLineLength, onEnd, onGone, onLine }: {
    readonly maxLineLength: number
    readonly onLine: (line: string) => void
    readonly onEnd: (end: StreamsEnd) => void
    readonly onGone: () => void
  }) {
    this.#maxLineLength = maxLineLength
    this.#onLine = onLine
    this.#onEnd = onEnd
    this.#onGone = onGone
    if (!isHandled) process.stdout.on("error", () => {})
    isHandled = true
    process.stdout.on("error", this.#onClosed).on("drain", this.#onDrain)
    process.stdin.setEncoding("utf8")
    process.stdin.on("data", this.#onData).on("end", this.#onInputEnd).on("error", this.#onInputError)
  }

  /** Writes a message on a line of its own: JSON has no line breaks. */
  readonly write = (message: string): void => {
    if (this.#isGone) return
    if (process.stdout.writableLength > maxUnread) {
      // The end of the process would wait for what is unread.
      process.stdout.destroy()
      return this.#lose("OutputUnread")
    }
    process.stdout.write(`${message}\n`)
    if (process.stdout.writableLength > pauseSize) process.stdin.pause()
  }

  /** Reads and writes no more. */
  close(): void {
    this.#isGone = true
    this.#isOver = true
    process.stdout.off("error", this.#onClosed).off("drain", this.#onDrain)
    process.stdin.off("data", this.#onData).off("end", this.#onInputEnd).off("error", this.#onInputError).pause()
  }

  readonly #onData = (chunk: string): void => {
    const lines = (this.#rest + chunk).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) {
      if (this.#isOver) return
      if (line.length > this.#maxLineLength) return this.#end("LineTooLong")
      this.#onLine(line)
    }
    if (this.#rest.length > this.#maxLineLength) this.#end("LineTooLong")
  }

  readonly #onDrain = (): void => {
    if (!this.#isOver) process.stdin.resume()
  }

  readonly #onInputEnd = (): void => this.#end("InputEnded")
  readonly #onInputError = (): void => this.#end("InputFailed")
  readonly #onClosed = (): void => this.#lose("OutputClosed")

  #lose(end: StreamsEnd): void {
    this.#isGone = true
    this.#onGone()
    this.#end(end)
  }

  #end(end: StreamsEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    process.stdin.pause()
    this.#onEnd(end)
  }
}
