/**
 * Cuts a byte stream into lines of text, however the bytes were cut into chunks.
 *
 * Lines end with LF or CRLF. A chunk is decoded at once up to its last newline. Where bytes of it do not decode, or a line may be too long,
 * it is decoded line by line: such bytes spoil one line at most.
 */
import * as Buffer from "node:buffer"

export interface LineDecoderOptions {
  readonly encoding: "utf-8" | "utf-16le" | "latin1"
  readonly errors: "strict" | "ignore" | "replace"
  /** The longest line in bytes. */
  readonly maxBytes: number
}

/** Receives the lines of a stream, in order. */
export interface LineReceiver {
  readonly onLine: (text: string) => void
  /** A line has bytes that do not decode, or is too long. After `TooLong` the decoder cannot be used. */
  readonly onFault: (fault: "Undecodable" | "TooLong") => void
}

const replacement = "\uFFFD"

const byteOrderMark = 0xfeff

const carriageReturn = 0x0d

/** Drops what does not decode and nothing else: a U+FFFD that the bytes really contain stays. */
const decodeIgnoring = (bytes: Buffer.Buffer, encoding: "utf-8" | "utf-16le"): string => {
  const genuine = Buffer.Buffer.from(replacement, encoding)
  const step = encoding === "utf-16le" ? 2 : 1
  const parts: Array<string> = []
  for (let start = 0; start <= bytes.length;) {
    let end = bytes.indexOf(genuine, start)
    while (end !== -1 && (end - start) % step !== 0) end = bytes.indexOf(genuine, end + 1)
    if (end === -1) end = bytes.length
    parts.push(
      new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes.subarray(start, end)).replaceAll(replacement, "")
    )
    start = end + genuine.length
  }
  return parts.join(replacement)
}

export class LineDecoder {
  readonly #options: LineDecoderOptions
  readonly #receiver: LineReceiver
  readonly #newline: Buffer.Buffer
  /** The first byte of a code unit that was cut in half. */
  #half: Buffer.Buffer | undefined
  /** Chunks of the line whose end has not arrived; joined when it has, since joining at each chunk would take quadratic time. */
  #pending: Array<Buffer.Buffer> = []
  #pendingBytes = 0
  #isFirst = true

  constructor(options: LineDecoderOptions, receiver: LineReceiver) {
    this.#options = options
    this.#receiver = receiver
    this.#newline = Buffer.Buffer.from("\n", options.encoding)
  }

  /** Takes a chunk and passes on the lines that it completes. */
  push(chunk: Buffer.Buffer): void {
    const { encoding, errors, maxBytes } = this.#options
    if (encoding === "utf-16le") return this.#pushLines(this.#wholeUnits(chunk))
    const end = chunk.lastIndexOf(10)
    if (end === -1 || this.#pendingBytes + end > maxBytes) return this.#pushLines(chunk)
    const head = chunk.subarray(0, end)
    const lines = this.#pendingBytes === 0 ? head : Buffer.Buffer.concat([...this.#pending, head])
    if (encoding === "utf-8" && errors !== "replace" && !Buffer.isUtf8(lines)) return this.#pushLines(chunk)
    if (this.#pendingBytes > 0) {
      this.#pending = []
      this.#pendingBytes = 0
    }
    this.#emitAll(lines.toString(encoding === "latin1" ? "latin1" : "utf8"))
    if (end + 1 < chunk.length) this.#keep(chunk.subarray(end + 1))
  }

  /** Returns the whole code units of a chunk and keeps the rest, so that newlines are found at even places only. */
  #wholeUnits(chunk: Buffer.Buffer): Buffer.Buffer {
    const bytes = this.#half === undefined ? chunk : Buffer.Buffer.concat([this.#half, chunk])
    const whole = bytes.length - bytes.length % 2
    this.#half = whole === bytes.length ? undefined : Buffer.Buffer.from(bytes.subarray(whole))
    return bytes.subarray(0, whole)
  }

  /** Decodes line by line. */
  #pushLines(bytes: Buffer.Buffer): void {
    let start = 0
    for (let end = this.#find(bytes, start); end !== -1; end = this.#find(bytes, start)) {
      const piece = bytes.subarray(start, end)
      const size = this.#pendingBytes + piece.length
      if (size > this.#options.maxBytes) return this.#receiver.onFault("TooLong")
      const line = this.#pending.length === 0 ? piece : Buffer.Buffer.concat([...this.#pending, piece], size)
      this.#pending = []
      this.#pendingBytes = 0
      start = end + this.#newline.length
      const text = this.#decode(line)
      if (text === undefined) this.#receiver.onFault("Undecodable")
      else this.#emitAll(text)
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start))
  }

  #keep(piece: Buffer.Buffer): void {
    this.#pendingBytes += piece.length
    if (this.#pendingBytes > this.#options.maxBytes) return this.#receiver.onFault("TooLong")
    this.#pending.push(piece)
  }

  #find(bytes: Buffer.Buffer, start: number): number {
    if (this.#newline.length === 1) return bytes.indexOf(10, start)
    let at = bytes.indexOf(this.#newline, start)
    while (at !== -1 && at % 2 === 1) at = bytes.indexOf(this.#newline, at + 1)
    return at
  }

  /** Decodes the bytes of one line; `undefined` if they do not decode. */
  #decode(bytes: Buffer.Buffer): string | undefined {
    const { encoding, errors } = this.#options
    if (encoding === "latin1") return bytes.toString("latin1")
    if (encoding === "utf-8" && (errors === "replace" || Buffer.isUtf8(bytes))) return bytes.toString("utf8")
    try {
      const text = new TextDecoder(encoding, { fatal: errors === "strict", ignoreBOM: true }).decode(bytes)
      return errors === "ignore" && text.includes(replacement) ? decodeIgnoring(bytes, encoding) : text
    } catch {
      // A fatal TextDecoder throws for nothing else.
      return undefined
    }
  }

  /** Passes on the lines of a text whose last newline was cut off. */
  #emitAll(text: string): void {
    const { onLine } = this.#receiver
    let start = this.#isFirst && text.charCodeAt(0) === byteOrderMark ? 1 : 0
    this.#isFirst = false
    for (let end = text.indexOf("\n", start); end !== -1; end = text.indexOf("\n", start)) {
      onLine(text.slice(start, end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end))
      start = end + 1
    }
    const end = text.length
    onLine(text.slice(start, end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end))
  }
}
