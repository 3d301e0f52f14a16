/**
 * Cuts a byte stream into lines of text, however the bytes were cut into chunks.
 *
 * Lines end with LF or CRLF and are decoded one by one, so that bytes which do not decode spoil one line at most.
 */
import * as Buffer from "node:buffer"

export interface LineDecoderOptions {
  readonly encoding: "utf-8" | "utf-16le" | "latin1"
  readonly errors: "strict" | "ignore" | "replace"
  /** The longest line in bytes. */
  readonly maxBytes: number
}

/** A line, or why there is none. */
export type Line =
  | { readonly _tag: "Line"; readonly text: string }
  | { readonly _tag: "Undecodable" }
  | { readonly _tag: "TooLong" }

const replacement = "\uFFFD"

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
  readonly #newline: Buffer.Buffer
  #rest: Buffer.Buffer = Buffer.Buffer.alloc(0)
  /** Chunks of a line whose end has not come yet; joined once it has, lest a long line cost the square of its length. */
  #pending: Array<Buffer.Buffer> = []
  #pendingBytes = 0
  #first = true

  constructor(options: LineDecoderOptions) {
    this.#options = options
    this.#newline = Buffer.Buffer.from("\n", options.encoding === "latin1" ? "latin1" : options.encoding)
  }

  /** Takes a chunk and gives the lines that it completes. After `TooLong` the decoder is spent. */
  push(chunk: Buffer.Buffer, emit: (line: Line) => void): void {
    const wide = this.#options.encoding === "utf-16le"
    let bytes = chunk
    // A code unit cut in half: keep the odd byte for the next chunk, so that newlines are found at even places only.
    if (this.#rest.length > 0) {
      bytes = Buffer.Buffer.concat([this.#rest, bytes])
      this.#rest = Buffer.Buffer.alloc(0)
    }
    if (wide && bytes.length % 2 === 1) {
      this.#rest = Buffer.Buffer.from(bytes.subarray(bytes.length - 1))
      bytes = bytes.subarray(0, bytes.length - 1)
    }
    let start = 0
    for (let end = this.#find(bytes, start); end !== -1; end = this.#find(bytes, start)) {
      const piece = bytes.subarray(start, end)
      const size = this.#pendingBytes + piece.length
      if (size > this.#options.maxBytes) return emit({ _tag: "TooLong" })
      const line = this.#pending.length === 0 ? piece : Buffer.Buffer.concat([...this.#pending, piece], size)
      this.#pending = []
      this.#pendingBytes = 0
      start = end + this.#newline.length
      emit(this.#decode(line))
    }
    if (start < bytes.length) {
      const piece = bytes.subarray(start)
      this.#pendingBytes += piece.length
      if (this.#pendingBytes > this.#options.maxBytes) return emit({ _tag: "TooLong" })
      this.#pending.push(piece)
    }
  }

  #find(bytes: Buffer.Buffer, start: number): number {
    if (this.#newline.length === 1) return bytes.indexOf(10, start)
    let at = bytes.indexOf(this.#newline, start)
    while (at !== -1 && at % 2 === 1) at = bytes.indexOf(this.#newline, at + 1)
    return at
  }

  #decode(bytes: Buffer.Buffer): Line {
    const { encoding, errors } = this.#options
    let text: string
    if (encoding === "latin1") text = bytes.toString("latin1")
    else if (encoding === "utf-8" && (errors === "replace" || Buffer.isUtf8(bytes))) text = bytes.toString("utf8")
    else {
      try {
        text = new TextDecoder(encoding, { fatal: errors === "strict", ignoreBOM: true }).decode(bytes)
      } catch {
        // The one thing that a fatal TextDecoder throws for; anything else it would throw for is ours.
        return { _tag: "Undecodable" }
      }
      if (errors === "ignore" && text.includes(replacement)) text = decodeIgnoring(bytes, encoding)
    }
    if (this.#first) {
      this.#first = false
      if (text.startsWith("\uFEFF")) text = text.slice(1)
    }
    return { _tag: "Line", text: text.endsWith("\r") ? text.slice(0, -1) : text }
  }
}
