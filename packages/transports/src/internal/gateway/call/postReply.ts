/**
 * The response to a POST: JSON, unless a message that belongs to one of its requests comes before their responses. That message makes it an
 * event stream. Most calls have no such message, and JSON is one write.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
 */
import type { ServerResponse } from "node:http"
import type { Reply } from "../client/clientCall.ts"
import { answerEmpty, answerJson } from "../http/http.ts"
import type { ReplyStream } from "../streams/eventStreams.ts"
import type { Outgoing } from "../streams/outgoing.ts"

export class PostReply implements Reply {
  readonly #response: ServerResponse
  readonly #begin: (response: ServerResponse) => ReplyStream
  readonly #acceptsStream: boolean
  readonly #isBatch: boolean
  readonly #onEnd: () => void
  /** The responses so far, while the response is JSON. */
  readonly #settled: Array<string> = []
  #pending: number
  #stream: ReplyStream | undefined
  #isLingering = false
  /** Whether another node continues the response. */
  #isReleased = false
  /** Whether the client has a response already. */
  #hasSettled = false

  constructor(options: {
    readonly response: ServerResponse
    /** Makes the response an event stream. */
    readonly begin: (response: ServerResponse) => ReplyStream
    /** Whether the client accepts an event stream. */
    readonly acceptsStream: boolean
    /** The number of requests in the POST. */
    readonly requests: number
    /** Whether the requests came as an array. */
    readonly isBatch: boolean
    /** Called once all requests are settled. */
    readonly onEnd: () => void
  }) {
    this.#response = options.response
    this.#begin = options.begin
    this.#acceptsStream = options.acceptsStream
    this.#isBatch = options.isBatch
    this.#pending = options.requests
    this.#onEnd = options.onEnd
  }

  /** Sends a message that belongs to one of the requests; `false` if that is not possible. */
  related(message: Outgoing): boolean {
    return this.#becomeStream()?.send(message) === true
  }

  /** Becomes an event stream after a while, which proxies do not take for a dead connection, and which the client can resume. */
  linger(): void {
    if (this.#isLingering) this.#becomeStream()
    this.#isLingering = true
  }

  /** Makes the response an event stream, unless it is one; `undefined` if that is not possible. */
  #becomeStream(): ReplyStream | undefined {
    if (this.#stream !== undefined) return this.#stream
    if (this.#isReleased || !this.#acceptsStream || this.#response.destroyed || this.#response.writableEnded) {
      return undefined
    }
    const stream = this.#stream = this.#begin(this.#response)
    for (const settled of this.#settled) stream.settle(settled)
    this.#hasSettled = this.#settled.length > 0
    return stream
  }

  /** Takes the response to one request; `undefined` for a request that was cancelled, which has none. */
  settle(message: string | undefined, status?: number): void {
    if (this.#isReleased) return
    this.#pending--
    if (message !== undefined) {
      if (this.#stream !== undefined) {
        this.#hasSettled = true
        this.#stream.settle(message)
      } else this.#settled.push(message)
    }
    if (this.#pending > 0) return
    if (this.#stream !== undefined) this.#stream.end()
    else this.#end(status ?? 200)
    this.#onEnd()
  }

  /** Writes no more to a response, because the requests are repeated elsewhere; `false` if it has responses already, or is another one. */
  release(response: ServerResponse): boolean {
    if (response !== this.#response || this.#hasSettled || this.#pending <= 0) return false
    this.#isReleased = true
    this.#stream?.detach?.(response)
    this.#stream = undefined
    return true
  }

  #end(status: number): void {
    const response = this.#response
    if (response.destroyed || response.writableEnded) return
    const [first] = this.#settled
    if (first === undefined) {
      answerEmpty(response, 202)
      return
    }
    const body = this.#isBatch ? `[${this.#settled.join()}]` : first
    answerJson(response, { status, body })
  }
}
