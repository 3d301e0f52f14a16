/**
 * Transport over the standard streams of a child process: lines of JSON, no schema pass over messages.
 *
 * **Details**
 *
 * The first write of a turn goes out at once and the rest together, in the microtask or as soon as 2 KB are pending: the server works while
 * the client still writes.
 *
 * Lines on stdout that are not JSON-RPC messages are skipped, counted and reported. The specification forbids them, but servers print
 * banners. Too many in a row end the connection.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { MessageTooLarge, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type { Buffer } from "node:buffer"
import { encode, isMessage, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { firstOf } from "../timeout.ts"
import type { Child } from "./childProcess.ts"
import { LineDecoder } from "./lineDecoder.ts"

/** How many characters of the first line that is not a message are shown. */
const shownNoise = 200

/** How long a process may take to exit after it has closed a pipe, in milliseconds. */
const exitTimeout = 200

/** How many characters may be pending before they are written. */
const flushLimit = 2048

const openingBrace = 0x7b
const openingBracket = 0x5b

/** Parses a line that may be a message, or in 2025-03-26 a batch of messages. */
const parse = (line: string): unknown => {
  const first = line.charCodeAt(0)
  if (first !== openingBrace && first !== openingBracket) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

export class StdioTransport implements Transport, RequestSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #child: Child
  readonly #config: Extract<ServerConfig, { readonly transport: "stdio" }>
  readonly #encoding: "utf8" | "utf-16le" | "latin1"
  readonly #inbox = new OrderedInbox(this)
  #isInTurn = false
  #out = ""
  /** The requests whose lines are in `#out`. */
  #unwritten: Array<OutgoingRequest> = []
  #noiseLines = 0
  #noiseInARow = 0
  #firstNoise: string | undefined
  #isStarted = false
  #isClosed = false
  #failure: EndReason | undefined

  constructor(child: Child, config: Extract<ServerConfig, { readonly transport: "stdio" }>) {
    this.#child = child
    this.#config = config
    this.#encoding = config.encoding === "utf-8" ? "utf8" : config.encoding
    void child.exited.then(() => this.#end())
    // A process may close its ends of the pipes and live on. Usually it is about to exit, and the exit says more.
    const onPipeClosed = () => {
      if (this.#isClosed) return
      void firstOf({ event: child.exited, millis: exitTimeout }).then(() => {
        if (!child.hasExited) this.#fail((delivery) => new TransportClosed({ delivery }))
      })
    }
    child.process.stdout.once("end", onPipeClosed)
    child.process.stdin.once("error", onPipeClosed)
  }

  ended(): EndReason | undefined {
    return this.#failure ?? (this.#child.hasExited ? (delivery) => this.#child.exit(delivery) : undefined)
  }

  start(): Promise<void> {
    if (!this.#isStarted) {
      this.#isStarted = true
      const { encoding, encodingErrors, maxMessageBytes } = this.#config
      const decoder = new LineDecoder({ encoding, errors: encodingErrors, maxBytes: maxMessageBytes }, {
        onLine: (line) => this.#takeLine(line),
        onFault: (fault) => this.#failDecoding(fault)
      })
      this.#child.process.stdout.on("data", (chunk: Buffer) => decoder.push(chunk))
    }
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (!this.#isWritable()) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    try {
      this.#write(encode(message), undefined)
      return sent
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  sendRequest(request: OutgoingRequest, text: string): void {
    if (this.#isWritable()) this.#write(text, request)
    else this.receiver?.fail(request, new TransportClosed({ delivery: "NotSent" }))
  }

  cancelRequest(request: OutgoingRequest): boolean {
    if (!request.isWritten) this.flush()
    return false
  }

  /** Returns a sentence about the lines that were not messages. */
  warnings(): ReadonlyArray<string> {
    const lines = this.#noiseLines === 1 ? "1 non-JSON-RPC line" : `${this.#noiseLines} non-JSON-RPC lines`
    return this.#noiseLines === 0 ? [] : [`printed ${lines} to stdout, first: ${this.#quotedNoise()}`]
  }

  /** Ends the connection. The process is ended by the scope that started it. */
  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  /** Writes what is pending. */
  flush(): void {
    const out = this.#out
    if (out === "") return
    const requests = this.#unwritten
    this.#out = ""
    this.#unwritten = []
    const { stdin } = this.#child.process
    // The requests stay unwritten until the channel ends, which it is about to do.
    if (!stdin.writable) return
    for (const request of requests) request.isWritten = true
    stdin.write(out, this.#encoding)
  }

  #isWritable(): boolean {
    return !this.#isClosed && !this.#child.hasExited
  }

  #write(text: string, request: OutgoingRequest | undefined): void {
    if (this.#isInTurn) {
      this.#out += `${text}\n`
      if (request !== undefined) this.#unwritten.push(request)
      if (this.#out.length >= flushLimit) this.flush()
      return
    }
    this.#isInTurn = true
    queueMicrotask(this.#endTurn)
    const { stdin } = this.#child.process
    if (!stdin.writable) return
    if (request !== undefined) request.isWritten = true
    stdin.write(`${text}\n`, this.#encoding)
  }

  readonly #endTurn = (): void => {
    this.#isInTurn = false
    this.flush()
  }

  #takeLine(line: string): void {
    if (this.#isClosed) return
    const value = parse(line)
    if (isMessage(value)) {
      this.#noiseInARow = 0
      return this.#inbox.push(value)
    }
    const batch = Array.isArray(value) ? value.filter(isMessage) : []
    if (batch.length > 0) this.#noiseInARow = 0
    else if (line.trim() !== "") this.#countNoise(line)
    for (const message of batch) this.#inbox.push(message)
  }

  #failDecoding(fault: "Undecodable" | "TooLong"): void {
    if (this.#isClosed) return
    const { encoding, maxMessageBytes } = this.#config
    if (fault === "TooLong") return this.#fail((delivery) => new MessageTooLarge({ limit: maxMessageBytes, delivery }))
    const description = `the server sent bytes that are not ${encoding}`
    this.#fail((delivery) => new TransportFailed({ description, delivery }))
  }

  #countNoise(line: string): void {
    this.#firstNoise ??= this.#child.redact(line).slice(0, shownNoise)
    this.#noiseLines++
    const { maxNoiseLines } = this.#config
    if (++this.#noiseInARow <= maxNoiseLines) return
    const description =
      `the server printed more than ${maxNoiseLines} non-JSON-RPC lines in a row to stdout, first: ${this.#quotedNoise()}`
    this.#fail((delivery) => new TransportFailed({ description, delivery }))
  }

  #quotedNoise(): string {
    return JSON.stringify(this.#firstNoise ?? "")
  }

  #fail(failure: EndReason): void {
    this.#failure = failure
    this.#child.process.stdout.removeAllListeners("data").resume()
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onclose?.()
  }
}
