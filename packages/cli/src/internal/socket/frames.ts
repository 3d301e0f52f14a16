/**
 * Frames of the socket between a command and the process that holds its sessions.
 *
 * A frame is the length of its payload as four bytes, one byte that names its kind, and the payload: text or bytes of a stream, or a JSON
 * object. This module and those that it imports load nothing but Node, because the client must start fast.
 */
import { Buffer } from "node:buffer"

/** The version of the protocol. A holder refuses any other one. */
export const protocolVersion = 1

/** The kinds of frames. The first group is sent by the client, the second by the holder. */
export const kinds = {
  /** The first frame: version, words, directory and streams of the client. */
  hello: 1,
  /** Starts the command. Until then, a client may still run it by itself. */
  start: 2,
  /** A chunk was written, or failed with a code of the system. */
  written: 3,
  /** A chunk of stdin. */
  input: 4,
  /** The end of stdin. */
  inputEnd: 5,
  /** A line that the user typed, or the end of the input. */
  line: 6,
  /** The width of the terminal changed. */
  resize: 7,
  /** Cancels the command. */
  cancel: 8,

  /** The holder is ready to run the command. */
  accept: 31,
  /** The client has to run the command by itself. Nothing was printed, and no server was asked. */
  decline: 32,
  /** The holder does not serve this client. */
  refuse: 33,
  /** A chunk for stdout. */
  stdout: 34,
  /** A chunk for stderr. */
  stderr: 35,
  /** Standard input is to be sent. */
  readInput: 36,
  /** A line is to be read at the terminal. */
  readLine: 37,
  /** The line is not wanted any more. */
  stopLine: 38,
  /** The last frame: the exit status. */
  exit: 39
} as const

export type Kind = typeof kinds[keyof typeof kinds]

/** The largest payload of a frame, in bytes. */
export const frameLimit = 1024 * 1024

/** The largest chunk of a stream, in bytes. */
export const chunkLimit = 64 * 1024

const headerLength = 5

const validKinds: ReadonlySet<number> = new Set(Object.values(kinds))

/** Encodes a frame. Text is written as UTF-8, any other value as JSON. */
export const encode = (...[kind, payload]: readonly [kind: Kind, payload: Uint8Array | object]): Buffer => {
  const bytes = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload), "utf8")
  const header = Buffer.alloc(headerLength)
  header.writeUInt32BE(bytes.length, 0)
  header.writeUInt8(kind, 4)
  return Buffer.concat([header, bytes])
}

/** Reads the JSON object of a frame; `undefined` if it holds anything else. */
export const objectOf = (payload: Buffer): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(payload.toString("utf8"))
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Readonly<Record<string, unknown>>
      : undefined
  } catch {
    // The payload is no JSON.
    return undefined
  }
}

/** Cuts a byte stream into frames, however the bytes were cut into chunks. */
export class FrameReader {
  #chunks: Array<Buffer> = []
  #length = 0
  #isBroken = false
  readonly #onFrame: (kind: Kind, payload: Buffer) => void
  readonly #onFault: () => void

  /** `onFault` is called once, for a frame that is too large or of an unknown kind. Nothing is read after it. */
  constructor(options: {
    readonly onFrame: (kind: Kind, payload: Buffer) => void
    readonly onFault: () => void
  }) {
    this.#onFrame = options.onFrame
    this.#onFault = options.onFault
  }

  push(chunk: Buffer): void {
    if (this.#isBroken) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
    while (this.#length >= headerLength) {
      const [first = Buffer.alloc(0)] = this.#chunks
      const head = first.length >= headerLength ? first : this.#joined()
      const length = head.readUInt32BE(0)
      const kind = head.readUInt8(4)
      if (length > frameLimit || !validKinds.has(kind)) {
        this.#isBroken = true
        this.#chunks = []
        return this.#onFault()
      }
      if (this.#length < headerLength + length) return
      const all = this.#joined()
      const rest = all.subarray(headerLength + length)
      this.#chunks = rest.length === 0 ? [] : [rest]
      this.#length = rest.length
      this.#onFrame(kind as Kind, all.subarray(headerLength, headerLength + length))
    }
  }

  /** Joins the chunks into one. */
  #joined(): Buffer {
    const [first] = this.#chunks
    if (this.#chunks.length === 1 && first !== undefined) return first
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }
}
