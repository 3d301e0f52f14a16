/**
 * SDK transport over a WebSocket: one text frame for each message.
 */
import { type Reason, TransportClosed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { encode, isMessage, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"

export class WebSocketTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /**
   * By these two the SDK knows a stdio transport, on which silence in answer to the era probe means legacy. So it does here:
   * unlike a request over HTTP, a frame need not be answered by those who do not understand it.
   */
  readonly pid = null
  readonly stderr = null

  readonly #inbox = new OrderedInbox({
    deliver: (message) => this.onmessage?.(message),
    onError: (error) => this.onerror?.(error)
  })
  readonly #write: (text: string) => void
  /** Frames that came before the SDK listened. */
  #early: Array<string> | undefined = []
  #isClosed = false
  #failure: ((delivery: "NotSent" | "Unknown") => Reason) | undefined

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  gone(delivery: "NotSent" | "Unknown"): Reason | undefined {
    return this.#failure?.(delivery)
  }

  start(): Promise<void> {
    const early = this.#early ?? []
    this.#early = undefined
    for (const frame of early) this.receive(frame)
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    try {
      this.#write(encode(message))
      return sent
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Ends the connection. The socket is closed by the scope that it was opened in. */
  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  receive(frame: string): void {
    if (this.#early !== undefined) {
      this.#early.push(frame)
      return
    }
    if (this.#isClosed) return
    let value: unknown
    try {
      value = JSON.parse(frame)
    } catch (error) {
      this.onerror?.(error as Error)
      return
    }
    for (const message of Array.isArray(value) ? value : [value]) {
      if (isMessage(message)) this.#inbox.push(message)
    }
  }

  /** The socket is gone. */
  fail(failure: (delivery: "NotSent" | "Unknown") => Reason): void {
    this.#failure ??= failure
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onclose?.()
  }
}
