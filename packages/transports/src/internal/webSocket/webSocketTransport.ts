/**
 * Transport over a WebSocket: one text frame for each message.
 *
 * The first frame of a turn goes out at once and the rest together, in the microtask. While the system has not taken the frames of earlier
 * turns, or too many of this one, frames wait in the outbox, unwritten.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { type QueueFull, TransportClosed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { encode, sent } from "../jsonRpc/codec.ts"
import { type MessageSink, readMessages } from "../jsonRpc/inboundReader.ts"
import { OrderedInbox, type Source } from "../jsonRpc/orderedInbox.ts"
import { Outbox } from "../jsonRpc/outbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"

/** How many bytes of one turn may be pending before further frames wait. */
const turnLimit = 64 * 1024

/** The socket. As a source it is paused while messages wait. */
export interface FrameSocket extends Source {
  /** How many bytes the system has not taken. */
  readonly unsent: () => number
  /** Writes a frame. `false`: the socket is not open. Calls back when the system has taken it. */
  readonly write: (text: string, onWritten: () => void) => boolean
  /** Holds frames back until `uncork`. */
  readonly cork: () => void
  readonly uncork: () => void
}

export class WebSocketTransport implements Transport, RequestSink, MessageSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #socket: FrameSocket
  readonly #redact: (text: string) => string
  readonly #inbox = new OrderedInbox(this)
  /** Frames that arrived before the SDK listened. */
  #early: Array<string> | undefined = []
  /** What waits for the server to read. */
  #outbox: Outbox | undefined
  #isInTurn = false
  #isCorked = false
  #isClosed = false
  #failure: EndReason | undefined
  #skipped: SkippedTexts | undefined

  /** `redact` removes secrets from text of the server. */
  constructor(socket: FrameSocket, redact: (text: string) => string) {
    this.#socket = socket
    this.#redact = redact
  }

  ended(): EndReason | undefined {
    return this.#failure
  }

  start(): Promise<void> {
    const early = this.#early ?? []
    this.#early = undefined
    for (const frame of early) this.receive(frame)
    this.#socket.resume()
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
    const refusal = this.#isClosed ? new TransportClosed({ delivery: "NotSent" }) : this.#write(text, request, false)
    if (refusal !== undefined) this.receiver?.fail(request, refusal)
  }

  /** A frame that waits is never sent. */
  cancelRequest(request: OutgoingRequest): boolean {
    return this.#outbox?.delete(request) === true
  }

  get pendingReplies(): number {
    return this.#outbox?.replies ?? 0
  }

  warnings(): ReadonlyArray<string> {
    return [...(this.#skipped?.warnings("frame") ?? []), ...this.#inbox.warnings()]
  }

  /** Ends the connection. The socket is closed by the scope that opened it. */
  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  receive(frame: string): void {
    if (this.#early !== undefined) {
      this.#early.push(frame)
      this.#socket.pause()
      return
    }
    if (this.#isClosed) return
    readMessages(frame, this)
    this.#inbox.onChunk(frame.length, this.#socket)
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
    this.#inbox.end(() => this.#end())
  }

  /** Writes a message, now or later. Returns why it is never written. */
  #write(
    text: string,
    request: OutgoingRequest | undefined,
    isReply: boolean
  ): QueueFull | TransportClosed | undefined {
    if (this.#outbox?.isEmpty === false || this.#socket.unsent() > (this.#isInTurn ? turnLimit : 0)) {
      return (this.#outbox ??= new Outbox()).add({ text, request, isReply })
    }
    return this.#writeNow(text, request) ? undefined : new TransportClosed({ delivery: "NotSent" })
  }

  #writeNow(text: string, request: OutgoingRequest | undefined): boolean {
    if (!this.#isInTurn) {
      this.#isInTurn = true
      queueMicrotask(this.#endTurn)
    } else if (!this.#isCorked) {
      this.#isCorked = true
      this.#socket.cork()
    }
    if (!this.#socket.write(text, this.#onWritten)) return false
    if (request !== undefined) request.isWritten = true
    return true
  }

  readonly #onWritten = (): void => {
    const outbox = this.#outbox
    if (outbox === undefined || this.#isClosed) return
    outbox.drain({
      isBlocked: () => this.#socket.unsent() > turnLimit,
      write: (text, request) => this.#writeNow(text, request)
    })
    if (outbox.isEmpty) this.#outbox = undefined
  }

  readonly #endTurn = (): void => {
    this.#isInTurn = false
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#socket.uncork()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#inbox.close()
    this.#outbox = undefined
    this.onclose?.()
  }
}
