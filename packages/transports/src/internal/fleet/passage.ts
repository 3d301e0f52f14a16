/**
 * Passage: the response of a client, as a node fills it from the response of another node. It goes on when the session has a new owner.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import type { ServerResponse } from "node:http"
import { isRequest } from "../gateway/dispatcher.ts"
import type { EventStreams } from "../gateway/eventStreams.ts"
import { answerJson } from "../gateway/http.ts"
import { codes, encodeError, RpcError } from "../gateway/rpc.ts"
import type { Exchange } from "../gateway/seat.ts"

/** Why a node could not have an exchange handled. */
export type Failure = "lost" | "noOwner"

const failures: Readonly<Record<Failure, (request: JSONRPCRequest | undefined) => RpcError>> = {
  lost: (request) =>
    new RpcError({
      code: codes.serverFailed,
      message: "the node that had the session was lost before its response came",
      data: request?.method === "tools/call"
        ? { reason: "OutcomeUnknown", lost: "OwnerLost", delivery: "Unknown", isRetryable: false }
        : { reason: "OwnerLost", delivery: "NotSent", isRetryable: true }
    }),
  noOwner: () =>
    new RpcError({
      code: codes.serverFailed,
      message: "no node has the session now",
      data: { reason: "NoOwner", delivery: "NotSent", isRetryable: true }
    })
}

export class Passage {
  readonly #exchange: Exchange
  readonly #streams: EventStreams
  /** What the client has set in its session, as the owner has told. */
  state = ""

  constructor(exchange: Exchange, streams: EventStreams) {
    this.#exchange = exchange
    this.#streams = streams
  }

  get response(): ServerResponse {
    return this.#exchange.response
  }

  get requests(): ReadonlyArray<JSONRPCRequest> {
    return this.#exchange.messages.filter(isRequest)
  }

  /** Whether the client has gone, or has its whole response. */
  get isOver(): boolean {
    return this.response.destroyed || this.response.writableEnded
  }

  /** Whether the exchange may be handled twice. */
  get isRepeatable(): boolean {
    return this.requests.every(({ method }) => method !== "tools/call")
  }

  /** Begins a stream of events. */
  begin(): void {
    if (this.response.headersSent) return
    this.#streams.begin(this.response)
    this.response.flushHeaders()
  }

  /** Passes on an event of the owner. */
  event(event: string): void {
    const [, control, data = ""] = /^event: (state|moved)\ndata: (.*)/.exec(event) ?? []
    if (control === undefined) this.#streams.write(this.response, `${event}\n\n`)
    else if (control === "state") this.state = data
  }

  /** Passes on a response that is whole. */
  answer(status: number, type: string | undefined, body: string): void {
    if (this.isOver) return
    if (this.response.headersSent) {
      if (body !== "") this.#streams.send(this.response, body)
      this.response.end()
    } else if (body === "") this.response.writeHead(status).end()
    else if (type?.startsWith("application/json") === true) answerJson(this.response, { status, body })
    else this.response.writeHead(502).end()
  }

  end(): void {
    this.response.end()
  }

  /** Answers all requests with an error. */
  fail(failure: Failure): void {
    if (this.isOver) return
    const { requests, response } = this
    const errors = requests.map((request) => encodeError(request.id, failures[failure](request)))
    if (response.headersSent) {
      for (const error of errors) this.#streams.send(response, error)
      response.end()
    } else if (errors.length === 0) {
      answerJson(response, {
        status: 503,
        body: encodeError(null, failures[failure](undefined)),
        headers: { "retry-after": "1" }
      })
    } else {
      const body = this.#exchange.text.trimStart().startsWith("[") ? `[${errors.join()}]` : errors.join()
      answerJson(response, { status: 200, body })
    }
  }
}
