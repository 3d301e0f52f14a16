/**
 * Transport for one MCP endpoint over Streamable HTTP, of either era.
 *
 * Requests of the engine and of the SDK's client take one way: an exchange each, on undici's lowest level. The transport keeps what
 * they share (endpoint, session, headers), routes what arrives, and keeps the stream of the server's own messages open in the legacy
 * era. It never loads the SDK: errors that the SDK's handshake understands are made by `refusalError`.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { HandshakeFailed, SessionExpired, TransportClosed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, JSONRPCRequest, Transport, TransportSendOptions } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { encode, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox, type Source } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"
import { revisionOf } from "../modern/requestHeaders.ts"
import { ToolHeaders } from "../modern/toolHeaders.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { excerptOf } from "./excerpt.ts"
import { type Failure, handshakeErrorOf, requestReasonOf } from "./failure.ts"
import { HttpEndpoint, isSessionId } from "./httpEndpoint.ts"
import { isTooLarge, type Refusal, type Target, type Wire } from "./httpExchange.ts"
import { LingeringExchanges } from "./lingeringExchanges.ts"
import { type NotificationExchange, type NotificationFailure, postNotification } from "./notificationExchange.ts"
import { errorResponseOf, type SessionKind, type Verdict } from "./refusal.ts"
import { pingExchange, RequestExchange, type RequestOwner } from "./requestExchange.ts"
import { ServerStream } from "./serverStream.ts"
import { SessionQuestion } from "./sessionQuestion.ts"

/** How long sending a cancellation may take, in milliseconds. */
const cancelTimeout = 2000

const isExpired = Schema.is(SessionExpired)

const isRequest = (message: JSONRPCMessage): message is JSONRPCRequest => "method" in message && "id" in message

/** How long sending another message that has no response may take, in milliseconds. */
const postTimeout = 30_000

/** What all connections of one definition share. */
export interface HttpTransportOptions extends Wire {
  readonly target: Target
  /** The headers of the definition, names and values in turn. */
  readonly given: ReadonlyArray<string>
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
  /** Reads the time of day, in milliseconds since the epoch. */
  readonly timeOfDay: () => number
  /** Makes the error of a refused request of the SDK's client. */
  readonly refusalError: (refusal: Refusal) => Error
}

/** What a refusal says that the SDK does not pass on. */
interface RefusedHandshake {
  /** `Retry-After`, verbatim. */
  readonly retryAfter: string | undefined
  /** The beginning of the body, secrets removed. */
  readonly body: string | undefined
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class HttpTransport implements Transport, RequestSink, EngineChannel, RequestOwner {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined
  readonly hasPerRequestStream = true

  readonly wire: HttpTransportOptions
  readonly endpoint: HttpEndpoint
  readonly toolHeaders = new ToolHeaders()
  /** The stream of a legacy server's own messages. */
  readonly serverStream: ServerStream
  readonly #inbox = new OrderedInbox(this)
  /** Requests without a response, by id. */
  #requests: Map<string | number, RequestExchange> | undefined
  /** The promises of the SDK's client for those of them that are its own. */
  #waiters: Map<RequestExchange, Waiter> | undefined
  #notifications: Set<NotificationExchange> | undefined
  /** Those of them that carry replies to requests of the server. */
  #replies: Set<NotificationExchange> | undefined
  #lingering: LingeringExchanges | undefined
  #skipped: SkippedTexts | undefined
  /** How often the server has sent too large a message on a stream of its own messages. */
  #tooLarge = 0
  #question: SessionQuestion | undefined
  #refusal: RefusedHandshake | undefined
  #isClosed = false
  #isForgotten = false

  constructor(options: HttpTransportOptions) {
    this.wire = options
    this.endpoint = new HttpEndpoint(options)
    this.serverStream = new ServerStream(this)
  }

  /** Itself: an object less for each of many idle sessions. */
  get transport(): this {
    return this
  }

  get sessionId(): string | undefined {
    return this.endpoint.sessionId
  }

  /** The last refusal of a request of the handshake. */
  refusal(): RefusedHandshake | undefined {
    return this.#refusal
  }

  /** How requests name their session. */
  get sessionKind(): SessionKind {
    return this.sessionId === undefined ? "none" : "header"
  }

  /** The channel has no end of its own: each request finds out by itself that the server is gone. */
  ended(): EndReason | undefined {
    return undefined
  }

  /** Whether the server still holds a session that has to be given back. */
  get holdsSession(): boolean {
    return this.sessionId !== undefined && !this.#isForgotten
  }

  setProtocolVersion(version: string): void {
    this.endpoint.protocolVersion = version
  }

  start(): Promise<void> {
    return sent
  }

  warnings(): ReadonlyArray<string> {
    return [
      ...this.serverStream.warnings(),
      ...this.#tooLargeWarnings(),
      ...(this.#skipped?.warnings("event") ?? []),
      ...this.toolHeaders.warnings(),
      ...this.#inbox.warnings()
    ]
  }

  sendRequest(request: OutgoingRequest, text: string, message: JSONRPCRequest): void {
    if (this.#isClosed) return
    this.#post(new RequestExchange({ owner: this, message, text, request }))
  }

  /** In the modern era, and while the server does not have it, a request is cancelled by the end of its exchange. */
  cancelRequest({ id, isWritten }: OutgoingRequest): boolean {
    const exchange = id === undefined ? undefined : this.#requests?.get(id)
    if (exchange === undefined) return true
    if (isWritten && !exchange.isChallenged && revisionOf(exchange.message) === undefined) return false
    this.#forget(exchange)
    exchange.abort()
    return true
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (this.#isClosed) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    return isRequest(message) ? this.#sendRequest(message, options) : this.#sendNotification(message)
  }

  get pendingReplies(): number {
    return this.#replies?.size ?? 0
  }

  /** Ends the connection, and all that is in flight. The session stays with the server: see `releaseSession`. */
  close(): Promise<void> {
    if (this.#isClosed) return sent
    this.#isClosed = true
    const open = [...(this.#requests?.values() ?? []), ...(this.#notifications ?? [])]
    this.#requests = this.#waiters = this.#notifications = undefined
    for (const exchange of open) exchange.abort()
    this.#lingering?.close()
    this.#question?.close()
    this.serverStream.close()
    this.#inbox.close()
    this.onclose?.()
    return sent
  }

  headersOf(message: JSONRPCRequest): Array<string> {
    return this.endpoint.headersOf(message, this.toolHeaders)
  }

  onHead(exchange: RequestExchange, headerOf: (name: string) => string | undefined): void {
    if (exchange.request !== undefined || exchange.message.method !== "initialize") return
    const id = headerOf("mcp-session-id")
    if (id === undefined || isSessionId(id)) this.endpoint.sessionId = id
    else this.#refuseSession(exchange)
  }

  onMessage(exchange: RequestExchange, message: JSONRPCMessage): void {
    if (exchange.isAnswered && this.#requests?.delete(exchange.message.id) === true) {
      ;(this.#lingering ??= new LingeringExchanges()).add(exchange)
      this.#settleWaiter(exchange)?.resolve()
    }
    this.#inbox.push(message, exchange.request)
  }

  onServerMessage(message: JSONRPCMessage): void {
    this.#inbox.push(message)
  }

  onChunk(bytes: number, source: Source): void {
    this.#inbox.onChunk(bytes, source)
  }

  onSkipped(text: string): void {
    ;(this.#skipped ??= new SkippedTexts(this.wire.redact)).add(text)
  }

  onTooLarge(): void {
    this.#tooLarge++
  }

  onEnd(exchange: RequestExchange, failure: Failure | undefined): void {
    this.#lingering?.delete(exchange)
    const { message: { id, method }, request } = exchange
    if (failure === undefined || this.#requests?.get(id) !== exchange) return
    if (request === undefined && this.receiver === undefined) return this.#failHandshake(exchange, failure)
    if (failure._tag === "Refused") {
      this.#question ??= new SessionQuestion({
        transport: this,
        redact: this.wire.redact,
        ping: (message, onEnd) => pingExchange({ owner: this, message, onEnd })
      })
      return this.#question.resolve({ id, refusal: failure }, (verdict) => this.#conclude(exchange, verdict))
    }
    if (method === "subscriptions/listen" && failure._tag === "Broken" && isTooLarge(failure.error)) this.onTooLarge()
    const { endpoint: { target: { origin } }, wire: { redact } } = this
    this.#conclude(exchange, { _tag: "Failed", reason: requestReasonOf({ failure, method, origin, redact }) })
  }

  /** Ends a request, unless it was cancelled while the session was asked. */
  #conclude(exchange: RequestExchange, verdict: Verdict): void {
    if (!this.#forget(exchange)) return
    const { request } = exchange
    const waiter = this.#settleWaiter(exchange)
    if (verdict._tag === "Response") {
      waiter?.resolve()
      return this.#inbox.push(verdict.response, request)
    }
    const { reason } = verdict
    // A session that may still be there is given back.
    if (isExpired(reason) && reason.delivery === "Rejected") this.#isForgotten = true
    if (request !== undefined) return this.receiver?.fail(request, reason)
    waiter?.reject(reason)
  }

  #tooLargeWarnings(): ReadonlyArray<string> {
    const times = this.#tooLarge === 1 ? "" : ` ${this.#tooLarge} times`
    return this.#tooLarge === 0
      ? []
      : [`broke off the stream of its own messages${times} with a message of more than ${this.wire.maxBytes} bytes`]
  }

  #post(exchange: RequestExchange): void {
    ;(this.#requests ??= new Map()).set(exchange.message.id, exchange)
    exchange.post()
  }

  /** `false`: the request has its response already, or was cancelled. */
  #forget({ message: { id } }: RequestExchange): boolean {
    return this.#requests?.delete(id) === true
  }

  #settleWaiter(exchange: RequestExchange): Waiter | undefined {
    const waiter = this.#waiters?.get(exchange)
    if (waiter !== undefined) this.#waiters?.delete(exchange)
    return waiter
  }

  /** Sends a request of the SDK's client. Resolves with the response, which is delivered first. */
  #sendRequest(message: JSONRPCRequest, options: TransportSendOptions | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const exchange = new RequestExchange({ owner: this, message, text: encode(message), request: undefined })
      ;(this.#waiters ??= new Map()).set(exchange, { resolve, reject })
      options?.requestSignal?.addEventListener("abort", () => {
        this.#forget(exchange)
        this.#lingering?.delete(exchange)
        exchange.abort()
        this.#settleWaiter(exchange)?.resolve()
      }, { once: true })
      this.#post(exchange)
    })
  }

  /** Ends the handshake: requests cannot carry the session id that the server gave. */
  #refuseSession(exchange: RequestExchange): void {
    this.#forget(exchange)
    exchange.abort()
    const description = "the server gave a session id that is too long or has other characters than visible ASCII"
    this.#settleWaiter(exchange)?.reject(new HandshakeFailed({ description }))
  }

  #failHandshake(exchange: RequestExchange, failure: Failure): void {
    this.#forget(exchange)
    const { message } = exchange
    const { id, method } = message
    const waiter = this.#settleWaiter(exchange)
    if (failure._tag === "Refused") {
      const response = revisionOf(message) === undefined ? undefined : errorResponseOf({ refusal: failure, id })
      if (response === undefined) return waiter?.reject(this.#refusalError(failure))
      waiter?.resolve()
      return this.#inbox.push(response)
    }
    const { endpoint: { target: { origin } }, wire: { redact } } = this
    waiter?.reject(handshakeErrorOf({ failure, method, origin, redact }))
  }

  #sendNotification(message: JSONRPCMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const method = "method" in message ? message.method : undefined
      const isCancellation = method === "notifications/cancelled"
      // A handshake has a limit of its own.
      const isHandshake = method === "notifications/initialized" || this.receiver === undefined
      const exchange = postNotification({
        wire: this.wire,
        endpoint: this.endpoint,
        headers: this.endpoint.headersOf(undefined, this.toolHeaders),
        text: encode(message),
        timeout: isCancellation ? cancelTimeout : isHandshake ? undefined : postTimeout,
        sink: { onMessage: (message) => this.#inbox.push(message), onSkipped: (text) => this.onSkipped(text) },
        onOver: () => this.#lingering?.delete(exchange),
        onEnd: (failure) => {
          this.#notifications?.delete(exchange)
          this.#replies?.delete(exchange)
          if (failure === undefined) (this.#lingering ??= new LingeringExchanges()).add(exchange)
          if (isCancellation) this.#abortCancelled(message)
          if (failure !== undefined) return reject(this.#notificationError(failure))
          if (method === "notifications/initialized") this.#begin(resolve)
          else resolve()
        }
      })
      ;(this.#notifications ??= new Set()).add(exchange)
      if (method === undefined) (this.#replies ??= new Set()).add(exchange)
    })
  }

  #notificationError(failure: NotificationFailure): Error {
    if (failure._tag === "Refused") return this.#refusalError(failure)
    const isHandshake = this.receiver === undefined
    const origin = this.endpoint.target.origin
    return classifyNetwork({ error: failure.error, address: origin, delivery: isHandshake ? "NotSent" : "Unknown" })
  }

  #refusalError(refusal: Refusal): Error {
    const { body, retryAfter } = refusal
    this.#refusal = { retryAfter, body: excerptOf({ body, redact: this.wire.redact }) }
    return this.wire.refusalError(refusal)
  }

  /** The server knows of the cancellation, or cannot be told: the exchange has nothing to wait for. */
  #abortCancelled(message: JSONRPCMessage): void {
    const id = "params" in message ? message.params?.requestId : undefined
    const exchange = typeof id === "string" || typeof id === "number" ? this.#requests?.get(id) : undefined
    if (exchange === undefined) return
    this.#forget(exchange)
    exchange.abort()
  }

  /** The handshake of the legacy era is over: listens to the server's own messages, and drops what the handshake needed. */
  #begin(onAsked: () => void): void {
    if (this.#requests?.size === 0) this.#requests = undefined
    if (this.#waiters?.size === 0) this.#waiters = undefined
    this.serverStream.begin(onAsked)
  }
}
