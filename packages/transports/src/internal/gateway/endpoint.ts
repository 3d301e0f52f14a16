/**
 * Endpoint: streamable HTTP for clients of the revisions up to 2025-11-25, which `initialize` and then name their session in a header.
 *
 * A session id is checked on every use. An id that is not one of the principal is answered with 404, whatever is wrong with it.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Caller } from "./admission.ts"
import type { ClientSession } from "./clientSession.ts"
import { isRequest } from "./dispatcher.ts"
import { badInitialize, initialized, revisions, wishesOf } from "./handshake.ts"
import { accepts, answerEmpty, answerJson, type BodyFault, onClosed, readBody, refuse } from "./http.ts"
import { isModern, ModernEndpoint, type ModernOptions } from "./modernEndpoint.ts"
import { messagesOf } from "./postBody.ts"
import { PostReply } from "./postReply.ts"
import {
  codes,
  encodeError,
  encodeResult,
  outcomeLost,
  RpcError,
  type RpcId,
  tooManyRequests,
  tooManySessions
} from "./rpc.ts"
import type { Exchange, Seat } from "./seat.ts"

const invalidRequest = (message: string): RpcError => new RpcError({ code: codes.invalidRequest, message })

const faults: Readonly<Record<BodyFault, { readonly status: number; readonly error: RpcError }>> = {
  large: { status: 413, error: invalidRequest("the body is too large") },
  malformed: { status: 400, error: new RpcError({ code: codes.parseError, message: "the body is not UTF-8" }) }
}

const sessionUnknown = new RpcError({ code: codes.sessionUnknown, message: "Session not found" })

export interface EndpointOptions extends ModernOptions {
  /** The largest body of a request, in bytes. */
  readonly maxBodyBytes: number
}

/** A POST that was read. */
type Post = Exchange & Caller

/** A request with no body. */
const bodyless = { text: "", messages: [], onEnd: () => {} }

export class Endpoint {
  readonly #options: EndpointOptions
  readonly #modern: ModernEndpoint
  /** Whether new sessions are refused. */
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
    readBody({
      request,
      limit: this.#options.maxBodyBytes,
      done: (text, fault) => {
        if (text === undefined) {
          refuse(response, { ...faults[fault ?? "malformed"], headers: { connection: "close" } })
        } else this.#read({ ...caller, request, response, text })
      }
    })
  }

  /** Reads the messages of a body. */
  #read(from: Omit<Post, "messages" | "onEnd">): void {
    const { principal, response, text } = from
    const messages = messagesOf(text)
    if (messages instanceof RpcError) return refuse(response, { status: 400, error: messages })
    this.#receive({ ...from, messages, onEnd: () => this.#options.quotas.end(principal) })
  }

  #receive(post: Post): void {
    const { expiresAt, messages, principal, request, response } = post
    const [first] = messages
    if (first !== undefined && messages.length === 1 && isRequest(first) && isModern(request, first)) {
      if (first.method === "subscriptions/listen") this.#options.streams.endAt(response, expiresAt)
      return this.#modern.handle(post, first)
    }
    if (first !== undefined && isRequest(first) && first.method === "initialize" && messages.length === 1) {
      return this.#initialize(post, first)
    }
    const version = request.headers["mcp-protocol-version"]
    if (version !== undefined && !revisions.includes(version as string)) {
      const data = { supported: revisions, requested: version }
      const error = new RpcError({ code: codes.invalidRequest, message: "Unsupported protocol version", data })
      return refuse(response, { status: 400, error, id: this.#idOf(post) })
    }
    const seat = this.#find(post)
    if (seat === undefined) return
    if (!this.#options.quotas.begin(principal)) return this.#limit(post, tooManyRequests)
    seat.use(post, (client, exchange) => this.serve(client, exchange))
  }

  /** Handles an exchange with a session of this process. */
  serve(client: ClientSession, exchange: Exchange): void {
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
      isBatch: exchange.text.trimStart().startsWith("["),
      onEnd
    })
    for (const message of messages) {
      if (isRequest(message)) dispatcher.run(client, message, reply)
      else dispatcher.take(client, message)
    }
    if (requests.length === 0) reply.settle(undefined)
  }

  /** Opens the stream of a client, or goes on with one that broke. */
  #stream(client: ClientSession, { request, response }: Exchange): void {
    const lastEventId = request.headers["last-event-id"]
    onClosed(response, () => client.touch())
    const opened = client.output.open(response, lastEventId === undefined ? undefined : String(lastEventId))
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
        for (const id of opened) streams.send(response, encodeError(id, outcomeLost))
        response.end()
      }
    }
  }

  /** The id of the request in a POST, if there is one. */
  #idOf({ messages }: Exchange): RpcId | undefined {
    return messages.find(isRequest)?.id
  }

  #limit(post: Exchange, error: RpcError): void {
    refuse(post.response, { status: 429, error, id: this.#idOf(post), headers: { "retry-after": "1" } })
  }

  #initialize(post: Exchange, { id, params }: JSONRPCRequest): void {
    const { principal, response } = post
    const { fork, quotas, router } = this.#options
    const wishes = wishesOf(params)
    if (wishes === undefined) return refuse(response, { status: 400, error: badInitialize, id })
    if (this.isDraining) {
      const error = new RpcError({ code: codes.limited, message: "the gateway is stopping" })
      return refuse(response, { status: 503, error, id, headers: { "retry-after": "1" } })
    }
    if (!quotas.begin(principal)) return this.#limit(post, tooManyRequests)
    fork(router.open({ principal, ...wishes })).addObserver((exit) => {
      quotas.end(principal)
      const session = Exit.isSuccess(exit) ? exit.value : undefined
      if (session === undefined) return this.#limit(post, tooManySessions)
      const result = initialized({ ...this.#options, protocolVersion: wishes.protocolVersion })
      answerJson(response, { status: 200, body: encodeResult(id, result), headers: { "mcp-session-id": session } })
    })
  }

  /** Passes a request without a body to the session that it names. */
  #pass(exchange: Exchange): void {
    this.#find(exchange)?.use(exchange, (client, handled) => this.serve(client, handled))
  }

  /** Finds the session that a request names, or refuses the request. */
  #find(exchange: Exchange): Seat | undefined {
    const { principal, request, response } = exchange
    const id = this.#idOf(exchange)
    const token = request.headers["mcp-session-id"]
    if (token === undefined) {
      refuse(response, {
        status: 400,
        error: invalidRequest("the Mcp-Session-Id header is missing: send the one of the response to initialize"),
        id
      })
      return undefined
    }
    const seat = this.#options.router.find(String(token), principal)
    if (seat === undefined) refuse(response, { status: 404, error: sessionUnknown, id })
    return seat
  }
}
