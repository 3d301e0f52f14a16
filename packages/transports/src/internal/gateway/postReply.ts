/**
 * The response to a POST: JSON, unless a message that belongs to one of its requests comes before their responses. That message makes it an
 * event stream. Most calls have no such message, and JSON is one write.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
 */
import type { ServerResponse } from "node:http"
import type { Reply } from "./clientSession.ts"
import type { EventStreams } from "./eventStreams.ts"
import { answerJson } from "./http.ts"

export class PostReply implements Reply {
  readonly #response: ServerResponse
  readonly #streams: EventStreams
  readonly #acceptsStream: boolean
  readonly #isBatch: boolean
  readonly #onEnd: () => void
  /** The responses so far, while the response is JSON. */
  readonly #settled: Array<string> = []
  #pending: number
  #isStream = false

  constructor(options: {
    readonly response: ServerResponse
    readonly streams: EventStreams
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
    this.#streams = options.streams
    this.#acceptsStream = options.acceptsStream
    this.#isBatch = options.isBatch
    this.#pending = options.requests
    this.#onEnd = options.onEnd
  }

  /** Sends a message that belongs to one of the requests; `false` if that is not possible. */
  related(message: string): boolean {
    if (!this.#acceptsStream || this.#response.destroyed || this.#response.writableEnded) return false
    if (!this.#isStream) {
      this.#isStream = true
      this.#streams.begin(this.#response)
      for (const settled of this.#settled) this.#streams.send(this.#response, settled)
    }
    return this.#streams.send(this.#response, message)
  }

  /** Takes the response to one request; `undefined` for a request that was cancelled, which has none. */
  settle(message: string | undefined, status?: number): void {
    this.#pending--
    if (message !== undefined) {
      if (this.#isStream) this.#streams.send(this.#response, message)
      else this.#settled.push(message)
    }
    if (this.#pending > 0) return
    if (this.#isStream) this.#response.end()
    else this.#end(status ?? 200)
    this.#onEnd()
  }

  #end(status: number): void {
    const response = this.#response
    if (response.destroyed) return
    const [first] = this.#settled
    if (first === undefined) {
      response.writeHead(202).end()
      return
    }
    const body = this.#isBatch ? `[${this.#settled.join()}]` : first
    answerJson(response, { status, body })
  }
}
