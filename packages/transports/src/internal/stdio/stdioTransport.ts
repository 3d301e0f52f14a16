/**
 * SDK transport over the standard streams of a child: one write per microtask, no schema pass over frames.
 *
 * Lines on stdout that are no JSON-RPC message are noise: skipped, counted, and reported, as the specification forbids them but
 * servers print banners all the same. Too many of them are no banner.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { MessageTooLarge, type Reason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type { Buffer } from "node:buffer"
import { encode, isMessage, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import { firstOf } from "../timeout.ts"
import type { Child } from "./childProcess.ts"
import { type Line, LineDecoder } from "./lineDecoder.ts"

const messagesOf = (line: string): ReadonlyArray<JSONRPCMessage> => {
  const first = line.charCodeAt(0)
  // Only objects and, in 2025-03-26, batches of them are messages.
  if (first !== 0x7b && first !== 0x5b) return []
  try {
    const value: unknown = JSON.parse(line)
    if (isMessage(value)) return [value]
    return Array.isArray(value) ? value.filter(isMessage) : []
  } catch {
    return []
  }
}

/** How much of the first line of noise is shown, in characters. */
const shownNoise = 200

/** How long a process may take to exit after it has closed a pipe, in milliseconds. */
const pipePatience = 200

export class StdioTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** The SDK knows a stdio transport by its `pid` and `stderr`: there, silence in answer to the era probe means legacy. */
  readonly pid: number | null
  readonly stderr = null

  readonly #child: Child
  readonly #config: Extract<ServerConfig, { readonly transport: "stdio" }>
  readonly #decoder: LineDecoder
  readonly #inbox = new OrderedInbox({
    deliver: (message) => this.onmessage?.(message),
    onError: (error) => this.onerror?.(error)
  })
  #out: string | undefined
  #noiseLines = 0
  #noiseInARow = 0
  #firstNoise: string | undefined
  #started = false
  #closed = false
  #failure: ((delivery: "NotSent" | "Unknown") => Reason) | undefined

  constructor(child: Child, config: Extract<ServerConfig, { readonly transport: "stdio" }>) {
    this.#child = child
    this.#config = config
    this.pid = child.process.pid ?? null
    this.#decoder = new LineDecoder({
      encoding: config.encoding,
      errors: config.encodingErrors,
      maxBytes: config.maxMessageBytes
    })
    void child.exited.then(() => this.#end())
    // A process may close its ends of the pipes and live on. Usually it is about to exit, which says more.
    const abandon = () => {
      if (this.#closed) return
      void firstOf({ event: child.exited, millis: pipePatience }).then(() => {
        if (!child.hasExited) this.#fail((delivery) => new TransportClosed({ delivery }))
      })
    }
    child.process.stdout.once("end", abandon)
    child.process.stdin.once("error", abandon)
  }

  gone(delivery: "NotSent" | "Unknown"): Reason | undefined {
    return this.#failure?.(delivery) ?? (this.#child.hasExited ? this.#child.exit(delivery) : undefined)
  }

  start(): Promise<void> {
    if (!this.#started) {
      this.#started = true
      this.#child.process.stdout.on("data", (chunk: Buffer) => this.#decoder.push(chunk, this.#take))
    }
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed || this.#child.hasExited) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    let line: string
    try {
      line = encode(message) + "\n"
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (this.#out === undefined) {
      this.#out = line
      queueMicrotask(this.flush)
    } else this.#out += line
    return sent
  }

  /** What there is to say of the noise so far. */
  warnings(): ReadonlyArray<string> {
    const lines = this.#noiseLines === 1 ? "a line" : `${this.#noiseLines} lines`
    return this.#noiseLines === 0
      ? []
      : [
        `it printed ${lines} to stdout that ${
          this.#noiseLines === 1 ? "is no message" : "are no messages, first"
        } ${this.#shownNoise()}`
      ]
  }

  /** Ends the connection. The process is ended by the scope that it was started in. */
  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  /** Writes what waits to be written. Called on its own once per turn, and last of all before the input is closed. */
  readonly flush = (): void => {
    const out = this.#out
    this.#out = undefined
    if (out !== undefined && this.#child.process.stdin.writable) {
      this.#child.process.stdin.write(out, this.#config.encoding === "utf-8" ? "utf8" : this.#config.encoding)
    }
  }

  readonly #take = (line: Line): void => {
    if (this.#closed) return
    switch (line._tag) {
      case "Line": {
        const messages = messagesOf(line.text)
        if (messages.length > 0) this.#noiseInARow = 0
        for (const message of messages) this.#inbox.push(message)
        return messages.length === 0 && line.text.trim() !== "" ? this.#hear(line.text) : undefined
      }
      case "TooLong":
        return this.#fail((delivery) => new MessageTooLarge({ limit: this.#config.maxMessageBytes, delivery }))
      case "Undecodable": {
        const description = `the server sent bytes that are not ${this.#config.encoding}`
        return this.#fail((delivery) => new TransportFailed({ description, delivery }))
      }
    }
  }

  #hear(noise: string): void {
    this.#firstNoise ??= this.#child.redact(noise).slice(0, shownNoise)
    this.#noiseLines++
    const { maxNoiseLines } = this.#config
    if (++this.#noiseInARow <= maxNoiseLines) return
    const description =
      `the server printed more than ${maxNoiseLines} lines in a row to stdout that are no messages, such as ${this.#shownNoise()}`
    this.#fail((delivery) => new TransportFailed({ description, delivery }))
  }

  #shownNoise(): string {
    return JSON.stringify(this.#firstNoise ?? "")
  }

  #fail(failure: (delivery: "NotSent" | "Unknown") => Reason): void {
    this.#failure = failure
    this.#child.process.stdout.removeAllListeners("data").resume()
    this.#end()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.onclose?.()
  }
}
