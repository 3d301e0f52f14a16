/**
 * Passage: the response to a client, which a node fills with the response of another node. It continues when the session gets a new owner.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServerResponse } from "node:http"
import { isRequest } from "../gateway/call/dispatcher.ts"
import type { Exchange } from "../gateway/client/sessionLocation.ts"
import { answerEmpty, answerJson } from "../gateway/http/http.ts"
import { codes, encodeError, outcomeLost, RpcError, type RpcId } from "../gateway/protocol/rpc.ts"
import type { EventStreams } from "../gateway/streams/eventStreams.ts"
import { textOrEmpty } from "../textOrEmpty.ts"

/** Why a node could not have an exchange handled. */
export type Failure = "large" | "lost" | "noOwner"

const failures: Readonly<Record<Failure, (request: JSONRPCRequest | undefined) => RpcError>> = {
  large: () =>
    new RpcError({
      code: codes.serverFailed,
      message: "the response is larger than nodes pass on",
      data: { reason: "MessageTooLarge", delivery: "Answered", isRetryable: false }
    }),
  lost: (request) =>
    request?.method === "tools/call" ? outcomeLost : new RpcError({
      code: codes.serverFailed,
      message: outcomeLost.message,
      data: { reason: "OwnerLost", delivery: "Unknown", isRetryable: true }
    }),
  noOwner: () =>
    new RpcError({
      code: codes.serverFailed,
      message: "no node has the session now",
      data: { reason: "NoOwner", delivery: "NotSent", isRetryable: true }
    })
}

const decodeMessage = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({
  id: Schema.optionalKey(Schema.Union([Schema.String, Schema.Finite])),
  method: Schema.optionalKey(Schema.String)
})))

/** The id of the request that an event has the response to. */
const answeredBy = (event: string): RpcId | undefined => {
  const [, data] = /^data: (\{.*(?:"result"|"error").*)$/m.exec(event) ?? []
  if (data === undefined) return undefined
  const message = Option.getOrUndefined(decodeMessage(data))
  return message?.method === undefined ? message?.id : undefined
}

export class Passage {
  readonly #exchange: Exchange
  readonly #streams: EventStreams
  readonly #answered = new Set<RpcId>()
  /** The state of the client's session that the owner sent last. */
  state = ""
  /** The id of the last event that the client has. */
  lastEventId: string | undefined

  constructor(exchange: Exchange, streams: EventStreams) {
    this.#exchange = exchange
    this.#streams = streams
    const { "last-event-id": id } = exchange.request.headers
    this.lastEventId = id === undefined ? undefined : textOrEmpty(id)
  }

  get response(): ServerResponse {
    return this.#exchange.response
  }

  /** The requests whose responses the client does not have yet. */
  get requests(): ReadonlyArray<JSONRPCRequest> {
    return this.#exchange.messages.filter(isRequest).filter(({ id }) => !this.#answered.has(id))
  }

  /** Whether the client has gone, or has its whole response. */
  get isOver(): boolean {
    return this.response.destroyed || this.response.writableEnded
  }

  /** Whether the client has the responses to all requests, although their stream has not ended. */
  get isAnswered(): boolean {
    return this.#answered.size > 0 && this.requests.length === 0
  }

  /** Whether the exchange may be handled twice. */
  get isRepeatable(): boolean {
    return this.#exchange.messages.filter(isRequest).every(({ method }) => method !== "tools/call")
  }

  /** Begins a stream of events. */
  begin(): void {
    if (this.response.headersSent) return
    this.#streams.begin(this.response)
    this.response.flushHeaders()
  }

  /** Passes on an event of the owner, unless the client has the response in it already. */
  event(event: string): void {
    const [, control, data = ""] = /^event: (state|moved)\ndata: (.*)/.exec(event) ?? []
    if (control === "state") this.state = data
    if (control !== undefined) return
    const id = this.#exchange.messages.length === 0 ? undefined : answeredBy(event)
    if (id !== undefined) {
      if (this.#answered.has(id)) return
      this.#answered.add(id)
    }
    this.lastEventId = /^id: (.*)$/m.exec(event)?.[1] ?? this.lastEventId
    this.#streams.write(this.response, `${event}\n\n`)
  }

  /** Passes on a response that is whole. */
  answer(status: number, { body, retryAfter, type }: {
    readonly type: string | undefined
    readonly retryAfter: string | undefined
    readonly body: string
  }): void {
    if (this.isOver) return
    if (body === "") answerEmpty(this.response, status)
    else if (type?.startsWith("application/json") === true) {
      answerJson(this.response, {
        status,
        body,
        headers: retryAfter === undefined ? {} : { "retry-after": retryAfter }
      })
    } else answerEmpty(this.response, 502)
  }

  end(): void {
    this.response.end()
  }

  /** Answers the requests that are left with an error. */
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
