/**
 * The end of what a process wrote to stderr, in whole characters of UTF-8.
 */
import { Buffer } from "node:buffer"
import { StringDecoder } from "node:string_decoder"

/** How many bytes of stderr are kept. */
export const ringBytes = 64 * 1024

/** How much of stderr an error quotes. */
const tailLines = 20
export const tailCharacters = 4096

/** The longest character of UTF-8, in bytes. */
const longestCharacter = 4

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Returns where the first character starts in bytes that were cut anywhere. Other encodings lose three bytes at most. */
const firstCharacter = (bytes: Buffer): number => {
  let start = 0
  while (start < longestCharacter - 1 && isContinuation(bytes[start])) start++
  return start
}

/** Returns the end of a text, in whole characters. */
const endOf = (text: string, characters: number): string => text.slice(-characters).replace(/^[\uDC00-\uDFFF]/, "")

export class StderrRing {
  #chunks: Array<Buffer> = []
  #bytes = 0

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#chunks.length > 1 && this.#bytes - (this.#chunks[0]?.length ?? 0) > ringBytes) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0
    }
  }

  /** Returns the bytes that are kept as text. A character of which a part is still to come is left out. */
  text(): string {
    const bytes = Buffer.concat(this.#chunks)
    const kept = bytes.subarray(Math.max(0, bytes.length - ringBytes))
    if (kept.length === bytes.length) return new StringDecoder("utf8").write(kept)
    const text = new StringDecoder("utf8").write(kept.subarray(firstCharacter(kept)))
    // A line without its beginning may start within a secret, which is then not found.
    const line = text.search(/[\r\n]/)
    return line < 0 ? text : text.slice(line + 1)
  }

  /** Returns the latest lines, secrets removed. */
  tail(redact: (text: string) => string): string {
    const lines = redact(this.text()).trimEnd().split("\n").slice(-tailLines)
    return endOf(lines.join("\n"), tailCharacters)
  }
}
