/**
 * Transport over the standard streams of a child process: lines of JSON, no schema pass over messages.
 *
 * **Details**
 *
 * The first write of a turn goes out at once and the rest together, in the microtask or as soon as 2 KB are pending: the server works while
 * the client still writes. While the system has not taken all of an earlier write, messages wait in the outbox, unwritten.
 *
 * Lines on stdout that are not JSON-RPC messages are skipped, counted and reported. The specification forbids them, but servers print
 * banners. Too many in a row end the connection.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { MessageTooLarge, type QueueFull, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type { Buffer } from "node:buffer"
import { encode, sent } from "../jsonRpc/codec.ts"
import { type MessageSink, readMessages } from "../jsonRpc/inboundReader.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import { Outbox } from "../jsonRpc/outbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"
import { firstOf } from "../timeout.ts"
import { LineDecoder } from "./lineDecoder.ts"
import type { ServerProcess } from "./serverProcess.ts"

/** How long a process may take to exit after it has closed a pipe, in milliseconds. */
const exitTimeout = 200

/** How many characters may be pending before they are written. */
const flushLimit = 2048

export class StdioTransport implements Transport, RequestSink, MessageSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #child: ServerProcess
  readonly #config: Extract<ServerConfig, { readonly transport: "stdio" }>
  readonly #encoding: "utf8" | "utf-16le" | "latin1"
  readonly #inbox = new OrderedInbox(this)
  #isInTurn = false
  #out = ""
  /** The requests whose lines are in `#out`. */
  #unwritten: Array<OutgoingRequest> = []
  readonly #noise: SkippedTexts
  /** What waits for the server to read. */
  #outbox: Outbox | undefined
  #noiseInARow = 0
  #isStarted = false
  /** Whether the process has written to stdout. */
  #hasOutput = false
  #isClosed = false
  #failure: EndReason | undefined

  constructor(child: ServerProcess, config: Extract<ServerConfig, { readonly transport: "stdio" }>) {
    this.#child = child
    this.#noise = new SkippedTexts(child.redact)
    this.#config = config
    this.#encoding = config.encoding === "utf-8" ? "utf8" : config.encoding
    void child.exited.then(() => this.#inbox.end(() => this.#end()))
    // A process may close its ends of the pipes and live on. Usually it is about to exit, and the exit says more.
    const onPipeClosed = () => {
      if (this.#isClosed) return
      void firstOf({ event: child.exited, millis: exitTimeout }).then(() => {
        if (!child.hasExited) this.#fail((delivery) => new TransportClosed({ delivery }))
      })
    }
    child.stdout.once("end", onPipeClosed)
    // A stream that fails closes without an end.
    child.stdout.once("error", onPipeClosed)
    child.stdin.once("error", onPipeClosed)
  }

  ended(): EndReason | undefined {
    return this.#failure ?? (this.#child.isDrained ? (delivery) => this.#child.exit(delivery) : undefined)
  }

  start(): Promise<void> {
    if (!this.#isStarted) {
      this.#isStarted = true
      const { encoding, encodingErrors, maxMessageBytes } = this.#config
      const decoder = new LineDecoder({ encoding, errors: encodingErrors, maxBytes: maxMessageBytes }, {
        onLine: (line) => this.#takeLine(line),
        onFault: (fault) => this.#failDecoding(fault)
      })
      const { stdout } = this.#child
      stdout.once("data", () => {
        this.#hasOutput = true
        this.#child.onStarted()
      })
      stdout.on("data", (chunk: Buffer) => {
        decoder.push(chunk)
        this.#inbox.onChunk(chunk.length, stdout)
      })
    }
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    try {
      const refusal = this.#write(encode(message), undefined, !("method" in message))
      return refusal === undefined ? sent : Promise.reject(refusal)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  sendRequest(request: OutgoingRequest, text: string): void {
    const refusal = this.#isClosed
      ? new TransportClosed({ delivery: "NotSent" })
      : this.#write(text, request, false)
    if (refusal !== undefined) this.receiver?.fail(request, refusal)
  }

  cancelRequest(request: OutgoingRequest): boolean {
    if (request.isWritten) return false
    if (this.#outbox?.delete(request) === true) return true
    this.flush()
    return false
  }

  get pendingReplies(): number {
    return this.#outbox?.replies ?? 0
  }

  /** Says whether the process has written anything to stdout. */
  pending(): string {
    const { command } = this.#config
    return `${JSON.stringify(command)} ${
      this.#hasOutput ? "has not answered the handshake on stdout" : "has written nothing to stdout"
    }`
  }

  /** Returns a sentence about each problem: lines that were not messages, requests that were not answered, a missing watchdog. */
  warnings(): ReadonlyArray<string> {
    const { count, first } = this.#noise
    const lines = count === 1 ? "1 non-JSON-RPC line" : `${count} non-JSON-RPC lines`
    const noise = count === 0 ? [] : [`printed ${lines} to stdout, first: ${first}`]
    return [...noise, ...this.#inbox.warnings(), ...this.#child.warnings()]
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
    if (!this.#isWritable) return
    const { stdin } = this.#child
    for (const request of requests) request.isWritten = true
    stdin.write(out, this.#encoding, this.#onWritten)
  }

  /**
   * Whether the process can read. If not, requests stay unwritten until the channel ends, as soon as the rest of the output has been read: the
   * exit says more than a refused write.
   */
  get #isWritable(): boolean {
    return this.#child.stdin.writable && !this.#child.hasExited
  }

  /** Whether the system has not taken all that was written. Nothing is pending in `#out` then. */
  get #isBlocked(): boolean {
    return this.#child.stdin.writableLength > 0
  }

  /** Writes a message, now or later. Returns why it is never written, if the server does not read. */
  #write(text: string, request: OutgoingRequest | undefined, isReply: boolean): QueueFull | undefined {
    if (this.#isBlocked || this.#outbox?.isEmpty === false) {
      return (this.#outbox ??= new Outbox()).add({ text, request, isReply })
    }
    if (this.#isInTurn) {
      this.#out += `${text}\n`
      if (request !== undefined) this.#unwritten.push(request)
      if (this.#out.length >= flushLimit) this.flush()
      return undefined
    }
    this.#isInTurn = true
    queueMicrotask(this.#endTurn)
    this.#writeNow(text, request)
    return undefined
  }

  #writeNow(text: string, request: OutgoingRequest | undefined): void {
    if (!this.#isWritable) return
    if (request !== undefined) request.isWritten = true
    this.#child.stdin.write(`${text}\n`, this.#encoding, this.#onWritten)
  }

  readonly #onWritten = (): void => {
    if (this.#outbox === undefined || this.#isClosed) return
    this.#outbox.drain({
      isBlocked: () => this.#isBlocked,
      write: (text, request) => this.#writeNow(text, request)
    })
    if (this.#outbox.isEmpty) this.#outbox = undefined
  }

  readonly #endTurn = (): void => {
    this.#isInTurn = false
    this.flush()
  }

  #takeLine(line: string): void {
    if (!this.#isClosed && this.#failure === undefined) readMessages(line, this)
  }

  onMessage(message: JSONRPCMessage): void {
    this.#noiseInARow = 0
    if (!this.#isClosed) this.#inbox.push(message)
  }

  onSkipped(line: string): void {
    this.#noise.add(line)
    const { maxNoiseLines } = this.#config
    if (++this.#noiseInARow <= maxNoiseLines) return
    const description =
      `the server printed more than ${maxNoiseLines} non-JSON-RPC lines in a row to stdout, first: ${this.#noise.first}`
    this.#fail((delivery) => new TransportFailed({ description, delivery }))
  }

  #failDecoding(fault: "Undecodable" | "TooLong"): void {
    if (this.#isClosed) return
    const { encoding, maxMessageBytes } = this.#config
    if (fault === "TooLong") return this.#fail((delivery) => new MessageTooLarge({ limit: maxMessageBytes, delivery }))
    const description = `the server sent bytes that are not ${encoding}`
    this.#fail((delivery) => new TransportFailed({ description, delivery }))
  }

  #fail(failure: EndReason): void {
    this.#failure ??= failure
    // What follows is not read any more. What was read before has its order.
    this.#child.stdout.removeAllListeners("data").resume()
    this.#inbox.end(() => this.#end())
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#inbox.close()
    this.#outbox = undefined
    this.#child.stdout.removeAllListeners("data").resume()
    this.onclose?.()
  }
}
