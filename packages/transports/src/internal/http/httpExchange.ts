/**
 * One HTTP request that may be answered by JSON or by an event stream, as a handler of the HTTP client.
 *
 * What `fetch` would add (web streams, a response object, promises at every step) costs more than a call to a fast server.
 */
import { MessageTooLarge, TransportFailed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import { StringDecoder } from "node:string_decoder"
import type { HttpConnections, HttpController, HttpHandler, HttpHead } from "../../HttpClient.ts"
import { type MessageSink, readMessages } from "../jsonRpc/inboundReader.ts"
import type { Source } from "../jsonRpc/orderedInbox.ts"
import type { Authorizer } from "../network/authorizer.ts"
import { isUnsent } from "../network/networkFailure.ts"
import { type SseEvent, SseParser } from "./sseParser.ts"

/** A response with a status other than success. */
export interface Refusal {
  readonly _tag: "Refused"
  readonly status: number
  readonly retryAfter: string | undefined
  readonly location: string | undefined
  /** The beginning of the body. */
  readonly body: string
}

/** How an exchange ended. */
export type End =
  | Refusal
  /** The body has ended. An event stream can be resumed after `lastEventId`. */
  | {
    readonly _tag: "Complete"
    readonly status: number
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }
  /** A body that is neither JSON-RPC nor an event stream, and its beginning. */
  | { readonly _tag: "Unreadable"; readonly body: string }
  /** The network failed. An event stream that had begun can be resumed after `lastEventId`. */
  | {
    readonly _tag: "Broken"
    readonly error: unknown
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }

/** Whether a network error says that the server sent too large a message. */
export const isTooLarge = Schema.is(MessageTooLarge)

/** What one server is asked over: its connections and its limit. */
export interface Wire {
  readonly connections: HttpConnections
  /** The largest JSON body and the largest event, in characters: no more than that many bytes would allow. */
  readonly maxBytes: number
  /** Gives every request its credentials. */
  readonly authorizer: Authorizer | undefined
}

/** The address of an endpoint, as the HTTP client wants it. */
export interface Target {
  readonly url: URL
  readonly origin: string
  readonly path: string
}

export const targetOf = (url: URL): Target => ({ url, origin: url.origin, path: url.pathname + url.search })

export interface ExchangeRequest {
  readonly target: Target
  readonly method: "DELETE" | "GET" | "POST"
  /** Names and values in turn. */
  readonly headers: Array<string>
  readonly body: string | null
  /** Whether the response is a stream that stays open. */
  readonly isStream?: boolean
}

/** Receives what happens to an exchange. Texts without a message are skipped: the stream goes on. */
export interface ExchangeListener extends MessageSink {
  /** Called when the first byte is about to be written to a connection that is open. */
  readonly onStart?: () => void
  /** Receives the status and a reader of headers, names in lower case. */
  readonly onHead?: (status: number, headerOf: (name: string) => string | undefined) => void
  /** Called when an event stream begins. */
  readonly onOpen?: () => void
  /** Takes an event that means something to the transport itself. `false`: the event is to be read like all others. */
  readonly onEvent?: (event: SseEvent) => boolean
  /** Called after each chunk of an event stream, which it may pause. */
  readonly onChunk?: (bytes: number, source: Source) => void
  /** Called once unless the exchange is aborted, and never before `start` returns. */
  readonly onEnd: (end: End) => void
}

/** How much of a body is read that explains a refusal, in characters. */
const explanationLimit = 16 * 1024

export class Exchange implements HttpHandler, MessageSink {
  readonly #wire: Wire
  readonly #listener: ExchangeListener
  #controller: HttpController | undefined
  #giveUp: (() => void) | undefined
  #isStarted = false
  #isAborted = false
  #isOver = false
  #isRead = false
  #hasMessage = false
  #status = 0
  /** The request and its credentials, where it may have to be sent once more. */
  #authorized: { readonly request: ExchangeRequest; readonly used: ReadonlyArray<string> } | undefined
  /** What has become of a refusal for lack of credentials. */
  #challenge: "none" | "waiting" | "over" = "none"
  #wwwAuthenticate: string | undefined
  #dpopNonce: string | undefined
  #retryAfter: string | undefined
  #location: string | undefined
  #kind: "json" | "sse" | "text" = "text"
  #decoder: StringDecoder | undefined
  #text = ""
  #sse: SseParser | undefined

  constructor(wire: Wire, listener: ExchangeListener) {
    this.#wire = wire
    this.#listener = listener
  }

  /** Sends the request. */
  start(request: ExchangeRequest): this {
    if (this.#wire.authorizer === undefined) this.#send(request, request.headers)
    else this.#authorize(this.#wire.authorizer, request)
    this.#isStarted = true
    return this
  }

  #send({ body, isStream = false, method, target }: ExchangeRequest, headers: Array<string>): void {
    const { origin, path } = target
    this.#giveUp = this.#wire.connections.send({ origin, path, method, headers, body, isStream }, this)
  }

  /** Sends the request with the credentials of the moment. */
  #authorize(authorizer: Authorizer, request: ExchangeRequest): void {
    const send = (used: ReadonlyArray<string>) => {
      this.#authorized = { request, used }
      if (!this.#isOver) this.#send(request, [...request.headers, ...used])
    }
    const used = authorizer.headers(request.method, request.target.url)
    if (used instanceof Promise) void used.then(send)
    else send(used)
  }

  /** Whether the server has refused the request for lack of credentials, and it has not been sent again. */
  get isChallenged(): boolean {
    return this.#challenge === "waiting" || this.#challenge === "over" && this.#controller === undefined
  }

  /** Ends the exchange without another word to the listener. */
  abort(): void {
    this.#isOver = true
    this.#isAborted = true
    this.#stop()
  }

  onRequestStart(controller: HttpController): void {
    this.#controller = controller
    if (this.#isOver) this.#stop()
    else this.#listener.onStart?.()
  }

  onResponseStart(_: HttpController, status: number, headers: HttpHead["headers"]): void {
    const headerOf = (name: string): string | undefined => {
      const value = headers[name]
      return typeof value === "object" ? value[0] : value
    }
    this.#status = status
    if (status !== 401 && this.#authorized !== undefined) this.#wire.authorizer?.accepted?.(this.#authorized.used)
    if (this.#isRefusal) {
      this.#retryAfter = headerOf("retry-after")
      this.#location = headerOf("location")
      if (status === 401 || status === 403) {
        // A server may offer several schemes, each in a header of its own.
        this.#wwwAuthenticate = [headers["www-authenticate"] ?? []].flat().join(", ")
        this.#dpopNonce = headerOf("dpop-nonce")
      }
    }
    const type = headerOf("content-type")
    // Most servers write the type as it is here, and each other step would cost a string.
    const essence = type === "application/json" ? type : type?.split(";", 1)[0]?.trim().toLowerCase()
    this.#kind = essence === "text/event-stream" ? "sse" : essence === "application/json" ? "json" : "text"
    if (this.#isOver) return
    this.#listener.onHead?.(status, headerOf)
    if (this.#kind === "sse" && !this.#isRefusal) this.#listener.onOpen?.()
  }

  onResponseData(controller: HttpController, chunk: Uint8Array): void {
    if (this.#isOver || this.#challenge === "waiting") return
    const part = (this.#decoder ??= new StringDecoder("utf8")).write(chunk)
    if (this.#kind === "sse" && !this.#isRefusal) {
      if (this.#parser.push(part)) this.#listener.onChunk?.(chunk.length, controller)
      else this.#exceed()
      return
    }
    this.#text += part
    const { length } = this.#text
    if (this.#isRefusal) {
      if (length > explanationLimit) this.#refuse()
    } else if (this.#kind === "json") {
      if (length > this.#wire.maxBytes) this.#exceed()
    } else if (length > explanationLimit) this.#failReading()
  }

  onResponseEnd(): void {
    this.#isRead = true
    if (this.#isOver || this.#challenge === "waiting") return
    if (this.#isRefusal) return this.#refuse()
    if (this.#kind === "json") {
      const body = this.#text + (this.#decoder?.end() ?? "")
      if (!readMessages(body, this)) return this.#failReading()
    } else if (this.#kind === "text" && this.#status !== 202) return this.#failReading()
    this.#end({ _tag: "Complete", status: this.#status, lastEventId: this.#sse?.lastEventId, retry: this.#sse?.retry })
  }

  onResponseError(_: HttpController, error: Error): void {
    this.#isRead = true
    if (this.#challenge === "waiting") return
    if (this.#status !== 0 && this.#isRefusal) return this.#refuse()
    // Whatever a client says of a response that has begun, its request was sent.
    const reason = this.#status !== 0 && isUnsent(error)
      ? new TransportFailed({ description: "the response broke off", delivery: "Unknown", cause: error })
      : error
    this.#end({ _tag: "Broken", error: reason, lastEventId: this.#sse?.lastEventId, retry: this.#sse?.retry })
  }

  onMessage(message: JSONRPCMessage): void {
    this.#hasMessage = true
    // One message of a batch may end the exchange.
    if (!this.#isOver) this.#listener.onMessage(message)
  }

  /** A body without any message is not skipped: it ends the exchange. */
  onSkipped(text: string): void {
    if (this.#kind === "sse" || this.#hasMessage) this.#listener.onSkipped(text)
  }

  get #isRefusal(): boolean {
    return this.#status < 200 || this.#status >= 300
  }

  get #parser(): SseParser {
    return this.#sse ??= new SseParser({
      maxSize: this.#wire.maxBytes,
      onEvent: (event) => {
        if (this.#isOver) return
        if (this.#listener.onEvent?.(event) !== true) readMessages(event.data, this)
      }
    })
  }

  #exceed(): void {
    const error = new MessageTooLarge({ limit: this.#wire.maxBytes, delivery: "Unknown" })
    this.#end({ _tag: "Broken", error, lastEventId: undefined, retry: undefined })
  }

  #failReading(): void {
    this.#end({ _tag: "Unreadable", body: this.#text.slice(0, explanationLimit) })
  }

  #refuse(): void {
    const { authorizer } = this.#wire
    const isChallenge = this.#status === 401 || this.#status === 403
    if (authorizer === undefined || this.#authorized === undefined || !isChallenge || this.#challenge !== "none") {
      return this.#endRefused()
    }
    this.#challenge = "waiting"
    this.#stop()
    const challenge = {
      status: this.#status,
      wwwAuthenticate: this.#wwwAuthenticate,
      dpopNonce: this.#dpopNonce,
      used: this.#authorized.used
    }
    const { request } = this.#authorized
    void authorizer.challenged(challenge).then((verdict) => {
      this.#challenge = "over"
      if (this.#isOver) return
      if (verdict !== undefined) {
        return this.#end({ _tag: "Broken", error: verdict, lastEventId: undefined, retry: undefined })
      }
      this.#reset()
      this.#authorize(authorizer, request)
    })
  }

  /** Makes the exchange one that has not been sent. */
  #reset(): void {
    this.#controller =
      this.#giveUp =
      this.#decoder =
      this.#sse =
      this.#wwwAuthenticate =
      this.#dpopNonce =
        undefined
    this.#isRead = false
    this.#hasMessage = false
    this.#status = 0
    this.#text = ""
  }

  #endRefused(): void {
    this.#end({
      _tag: "Refused",
      status: this.#status,
      retryAfter: this.#retryAfter,
      location: this.#location,
      body: this.#text
    })
  }

  #end(end: End): void {
    if (this.#isOver) return
    this.#isOver = true
    // An HTTP client may report what cannot be sent at all before `send` returns.
    if (this.#isStarted) this.#listener.onEnd(end)
    else {queueMicrotask(() => {
        if (!this.#isAborted) this.#listener.onEnd(end)
      })}
    this.#stop()
  }

  #stop(): void {
    if (this.#isRead) return
    if (this.#controller === undefined) this.#giveUp?.()
    else this.#controller.abort(new Error("the exchange is over"))
  }
}
