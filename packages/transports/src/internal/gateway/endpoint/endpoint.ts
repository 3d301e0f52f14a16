/**
 * Endpoint: streamable HTTP for clients of the revisions up to 2025-11-25, which `initialize` and then name their session in a header.
 *
 * A session id is checked on every use. The answer to every invalid id is 404.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import type { IncomingMessage, ServerResponse } from "node:http"
import { textOrEmpty } from "../../textOrEmpty.ts"
import type { Caller } from "../admission/admission.ts"
import { isRequest } from "../call/dispatcher.ts"
import { PostReply } from "../call/postReply.ts"
import { type ClientSession, modernRevision } from "../client/clientSession.ts"
import type { Exchange, SessionLocation } from "../client/sessionLocation.ts"
import { guarded, settled } from "../http/defects.ts"
import {
  accepts,
  answerEmpty,
  answerFailure,
  answerJson,
  type BodyFault,
  onClosed,
  readBody,
  refuse
} from "../http/http.ts"
import { isModern, ModernEndpoint, type ModernOptions } from "../modern/modernEndpoint.ts"
import { isBatch, messagesOf } from "../protocol/postBody.ts"
import {
  codes,
  encodeError,
  encodeResult,
  gatewayStopping,
  RpcError,
  type RpcId,
  sessionUnknown,
  tooManyRequests,
  tooManySessions
} from "../protocol/rpc.ts"
import { badInitialize, initialized, initializeParamsOf, revisions } from "./handshake.ts"

const invalidRequest = (message: string): RpcError => new RpcError({ code: codes.invalidRequest, message })

const faults: Readonly<Record<Exclude<BodyFault, "gone">, { readonly status: number; readonly error: RpcError }>> = {
  large: { status: 413, error: invalidRequest("the body is too large") },
  limited: { status: 429, error: tooManyRequests },
  malformed: { status: 400, error: new RpcError({ code: codes.parseError, message: "the body is not UTF-8" }) }
}

export interface EndpointOptions extends ModernOptions {
  /** The largest body of a request, in bytes. */
  readonly maxBodyBytes: number
}

/** A POST that was read. */
type Post = Exchange & Caller

/** The revisions of requests that the gateway takes, the latest first. */
const supported: ReadonlyArray<string> = [modernRevision, ...revisions]

/** Why a request does not reach a session. */
class Refused {
  readonly status: number
  readonly error: RpcError

  constructor(status: number, error: RpcError) {
    this.status = status
    this.error = error
  }
}

/** Whether a message begins something. A request with a `requestState` goes on with an earlier one. */
const isNew = (message: JSONRPCMessage): boolean => isRequest(message) && message.params?.requestState === undefined

/** A request with no body. */
const bodyless = { text: "", messages: [], onEnd: () => {} }

export class Endpoint {
  readonly #options: EndpointOptions
  readonly #modern: ModernEndpoint
  /** Whether new requests are refused. What belongs to earlier ones is still taken. */
  isDraining = false

  constructor(options: EndpointOptions) {
    this.#options = options
    this.#modern = new ModernEndpoint(options)
  }

  /** Handles a request of a caller. */
  handle(caller: Caller, request: IncomingMessage, response: ServerResponse): void {
    // The next request of the client should find another process.
    if (this.isDraining) response.setHeader("connection", "close")
    switch (request.method) {
      case "POST":
        return this.#post(caller, request, response)
      case "GET":
        return this.#get(caller, request, response)
      case "DELETE":
        return this.#pass({ principal: caller.principal, request, response, ...bodyless })
      default:
        response.writeHead(405, { allow: "GET, POST, DELETE" }).end()
    }
  }

  #get({ expiresAt, principal }: Caller, request: IncomingMessage, response: ServerResponse): void {
    if (!accepts(request.headers.accept, "text/event-stream")) {
      return refuse(response, { status: 406, error: invalidRequest("Accept has to allow text/event-stream") })
    }
    this.#options.streams.endAt(response, expiresAt)
    this.#pass({ principal, request, response, ...bodyless })
  }

  #post(caller: Caller, request: IncomingMessage, response: ServerResponse): void {
    const { accept, "content-encoding": encoding, "content-type": type = "" } = request.headers
    if (!/^application\/json\s*(?:;|$)/i.test(type) || (encoding !== undefined && encoding !== "identity")) {
      return refuse(response, { status: 415, error: invalidRequest("the body has to be application/json") })
    }
    if (!accepts(accept, "application/json") && !accepts(accept, "text/event-stream")) {
      return refuse(response, {
        status: 406,
        error: invalidRequest("Accept has to allow application/json and text/event-stream")
      })
    }
    const { fork, maxBodyBytes, quotas } = this.#options
    const place = quotas.begin(caller.principal)
    // The body is not read, so the id of its request is not known.
    if (place === undefined) return refuse(response, { status: 429, error: tooManyRequests })
    const from = { ...caller, request, response, onEnd: place.end }
    readBody({
      request,
      limit: maxBodyBytes,
      admit: place.takeBytes,
      done: (text, fault = "malformed") => {
        if (text !== undefined) {
          const doing = "read a request"
          return guarded({ fork, doing, onFailure: (error) => this.#fail(from, error) }, () => this.#read(from, text))
        }
        place.end()
        if (fault !== "gone") refuse(response, { ...faults[fault], headers: { connection: "close" } })
      }
    })
  }

  /** Reads the messages of a body. */
  #read(from: Omit<Post, "messages" | "text">, text: string): void {
    const messages = messagesOf(text)
    if (messages instanceof RpcError) {
      from.onEnd()
      return refuse(from.response, { status: 400, error: messages })
    }
    const post = { ...from, text, messages }
    const { fork } = this.#options
    const guard = { fork, doing: "handle a request", onFailure: (error: RpcError) => this.#fail(post, error) }
    guarded(guard, () => this.#receive(post))
  }

  /** Ends a request that failed by itself. */
  #fail(
    { messages, onEnd, response }: Pick<Exchange, "onEnd" | "response"> & Partial<Exchange>,
    error: RpcError
  ): void {
    onEnd()
    answerFailure(response, error, messages?.find(isRequest)?.id)
  }

  #receive(post: Post): void {
    const { expiresAt, messages, request, response } = post
    if (this.isDraining && messages.some(isNew)) return this.#refuse(post, 503, gatewayStopping)
    const [first] = messages
    if (first !== undefined && messages.length === 1 && isRequest(first) && isModern(request, first)) {
      if (first.method === "subscriptions/listen") this.#options.streams.endAt(response, expiresAt)
      return this.#modern.handle(post, first, (client, exchange) => this.serve(client, exchange))
    }
    if (first !== undefined && isRequest(first) && first.method === "initialize" && messages.length === 1) {
      return this.#initialize(post, first)
    }
    this.#pass(post)
  }

  /** Handles an exchange with a session of this process. */
  serve(client: ClientSession, exchange: Exchange): void {
    const { fork } = this.#options
    guarded(
      { fork, doing: "handle a request", onFailure: (error) => this.#fail(exchange, error) },
      () => this.#serve(client, exchange)
    )
  }

  #serve(client: ClientSession, exchange: Exchange): void {
    const { messages, onEnd, request, response } = exchange
    const { dispatcher, fork, router } = this.#options
    client.touch()
    if (request.method === "GET") return this.#stream(client, exchange)
    if (request.method === "DELETE") {
      fork(router.close(client))
      answerEmpty(response, 200)
      return
    }
    const [first] = messages
    if (client.isModern && first !== undefined && isRequest(first)) return this.#modern.serve(client, exchange, first)
    const requests = messages.filter(isRequest)
    const reply = new PostReply({
      response,
      begin: (response) => client.resumable.begin(response, requests.map(({ id }) => id)),
      acceptsStream: accepts(request.headers.accept, "text/event-stream"),
      requests: Math.max(1, requests.length),
      isBatch: isBatch(exchange.text),
      onEnd
    })
    for (const message of messages) {
      if (isRequest(message)) dispatcher.run(client, message, reply)
      else dispatcher.take(client, message)
    }
    if (requests.length === 0) reply.settle(undefined)
  }

  /** Opens the stream of a client, or resumes a broken one. */
  #stream(client: ClientSession, { request, response }: Exchange): void {
    const lastEventId = request.headers["last-event-id"]
    onClosed(response, () => client.touch())
    const opened = client.output.open(response, lastEventId === undefined ? undefined : textOrEmpty(lastEventId))
    switch (opened) {
      case undefined:
        return
      case "over":
        // Clients do not open a stream again after this status.
        answerEmpty(response, 204)
        return
      case "unknown":
        return refuse(response, { status: 400, error: invalidRequest("the event is not known, or no longer") })
      default: {
        const { streams } = this.#options
        streams.begin(response)
        for (const id of opened.ids) streams.send(response, encodeError(id, opened.error))
        response.end()
      }
    }
  }

  /** The id of the request in a POST, if there is one. */
  #idOf({ messages }: Exchange): RpcId | undefined {
    return messages.find(isRequest)?.id
  }

  /** Refuses a request, which ends with that. */
  #refuse(exchange: Exchange, status: number, error: RpcError): void {
    exchange.onEnd()
    refuse(exchange.response, { status, error, id: this.#idOf(exchange) })
  }

  #initialize(post: Exchange, { id, params }: JSONRPCRequest): void {
    const { onEnd, principal, response } = post
    const { fork, router } = this.#options
    const initialize = initializeParamsOf(params)
    if (initialize === undefined) return this.#refuse(post, 400, badInitialize)
    settled({ fork, doing: "open a session", onFailure: (error) => this.#fail(post, error) }, {
      effect: router.open({ principal, ...initialize }),
      onValue: (session) => {
        if (session === undefined) return this.#refuse(post, 429, tooManySessions)
        onEnd()
        const result = initialized({ ...this.#options, protocolVersion: initialize.protocolVersion })
        answerJson(response, { status: 200, body: encodeResult(id, result), headers: { "mcp-session-id": session } })
      }
    })
  }

  /** Passes a request to the session that it names. */
  #pass(exchange: Exchange): void {
    const location = this.#find(exchange)
    if (location instanceof Refused) this.#refuse(exchange, location.status, location.error)
    else location.use(exchange, (client, handled) => this.serve(client, handled))
  }

  /** Finds the session that a request names. */
  #find({ principal, request: { headers } }: Exchange): SessionLocation | Refused {
    const version = headers["mcp-protocol-version"]
    if (version !== undefined && !supported.includes(textOrEmpty(version))) {
      const data = { supported, requested: version }
      return new Refused(
        400,
        new RpcError({ code: codes.invalidRequest, message: "Unsupported protocol version", data })
      )
    }
    const token = headers["mcp-session-id"]
    return token === undefined
      ? new Refused(
        400,
        invalidRequest("the Mcp-Session-Id header is missing: send the one of the response to initialize")
      )
      : this.#options.router.find(textOrEmpty(token), principal) ?? new Refused(404, sessionUnknown)
  }
}
