/**
 * Transport over a WebSocket: one text frame for each message.
 *
 * The first frame of a turn goes out at once and the rest together, in the microtask.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { TransportClosed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { encode, sent } from "../jsonRpc/codec.ts"
import { type MessageSink, readMessages } from "../jsonRpc/inboundReader.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"

/** The socket to write to. */
export interface FrameWriter {
  /** Writes a frame. `false`: the socket is not open. */
  readonly write: (text: string) => boolean
  /** Holds frames back until `uncork`. */
  readonly cork: () => void
  readonly uncork: () => void
}

export class WebSocketTransport implements Transport, RequestSink, MessageSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #writer: FrameWriter
  readonly #redact: (text: string) => string
  readonly #inbox = new OrderedInbox(this)
  /** Frames that arrived before the SDK listened. */
  #early: Array<string> | undefined = []
  #isInTurn = false
  #isCorked = false
  #isClosed = false
  #failure: EndReason | undefined
  #skipped: SkippedTexts | undefined

  /** `redact` removes secrets from text of the server. */
  constructor(writer: FrameWriter, redact: (text: string) => string) {
    this.#writer = writer
    this.#redact = redact
  }

  ended(): EndReason | undefined {
    return this.#failure
  }

  warnings(): ReadonlyArray<string> {
    return this.#skipped?.warnings("frame") ?? []
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
      return this.#write(encode(message)) ? sent : Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  sendRequest(request: OutgoingRequest, text: string): void {
    if (!this.#isClosed && this.#write(text)) request.isWritten = true
    else this.receiver?.fail(request, new TransportClosed({ delivery: "NotSent" }))
  }

  /** Ends the connection. The socket is closed by the scope that opened it. */
  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  receive(frame: string): void {
    if (this.#early !== undefined) {
      this.#early.push(frame)
      return
    }
    if (!this.#isClosed) readMessages(frame, this)
  }

  onMessage(message: JSONRPCMessage): void {
    if (!this.#isClosed) this.#inbox.push(message)
  }

  onSkipped(text: string): void {
    ;(this.#skipped ??= new SkippedTexts(this.#redact)).add(text)
  }

  /** Ends the connection because the socket has ended. */
  fail(failure: EndReason): void {
    this.#failure ??= failure
    this.#end()
  }

  #write(text: string): boolean {
    if (!this.#isInTurn) {
      this.#isInTurn = true
      queueMicrotask(this.#endTurn)
    } else if (!this.#isCorked) {
      this.#isCorked = true
      this.#writer.cork()
    }
    return this.#writer.write(text)
  }

  readonly #endTurn = (): void => {
    this.#isInTurn = false
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#writer.uncork()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onclose?.()
  }
}
