/**
 * Transport for the two endpoints of 2024-11-05: an event stream to listen to, whose first event names the endpoint to post to.
 *
 * The stream is the session. When it ends, so does the connection: a new stream would be a new session, and not an
 * initialized one.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import {
  type ConnectReason,
  HandshakeFailed,
  MessageTooLarge,
  type RequestReason,
  SessionExpired,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import { clearTimeout, setTimeout } from "node:timers"
import { type End, Exchange, type ExchangeListener, type Target, targetOf, type Wire } from "../http/httpExchange.ts"
import { SkippedEvents } from "../http/skippedEvents.ts"
import type { SseEvent } from "../http/sseParser.ts"
import { encode, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox, type Source } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "../network/status.ts"

export interface SseTransportOptions extends Wire {
  readonly target: Target
  /** The headers of the definition, names and values in turn. */
  readonly given: ReadonlyArray<string>
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
}

const isTooLarge = Schema.is(MessageTooLarge)

/** How long a server may take to accept a POST that is no request, in milliseconds. */
const postTimeout = 30_000

/** How long the POST of a cancelled request may stay open, in milliseconds. */
const cancelTimeout = 2000

/** Statuses that servers answer a POST with whose session they do not know. */
const expiredStatuses = new Set([400, 404, 410])

const closed: EndReason = (delivery) => new TransportClosed({ delivery })

export class SseTransport implements Transport, RequestSink, ExchangeListener {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #options: SseTransportOptions
  readonly #inbox = new OrderedInbox(this)
  /** Posts that were not accepted yet, each with its time limit. */
  readonly #posts = new Map<Exchange, NodeJS.Timeout | undefined>()
  /** Those of them that carry requests of the engine. */
  readonly #requests = new Map<OutgoingRequest, Exchange>()
  /** Those of them that carry replies to requests of the server. */
  readonly #replies = new Set<Exchange>()
  #stream: Exchange | undefined
  #start: { readonly resolve: () => void; readonly reject: (reason: ConnectReason) => void } | undefined
  #endpoint: Target | undefined
  #isClosed = false
  #ended: EndReason | undefined
  #skipped: SkippedEvents | undefined

  constructor(options: SseTransportOptions) {
    this.#options = options
  }

  /** Returns why the stream ended, unless it was closed by us. */
  ended(): EndReason | undefined {
    return this.#ended
  }

  warnings(): ReadonlyArray<string> {
    return [...(this.#skipped?.warnings() ?? []), ...this.#inbox.warnings()]
  }

  /** Opens the stream, and waits for the endpoint to post to. The transport is closed to stop waiting. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#start = { resolve, reject }
      const { given, target } = this.#options
      const headers = [...given, "accept", "text/event-stream"]
      this.#stream = new Exchange(this.#options, this).start({
        target,
        method: "GET",
        headers,
        body: null,
        isStream: true
      })
    })
  }

  sendRequest(request: OutgoingRequest, text: string): void {
    const endpoint = this.#endpoint
    if (this.#isClosed || endpoint === undefined) return
    const exchange = this.#post({
      endpoint,
      text,
      onStart: () => {
        request.isWritten = true
      },
      onEnd: (reason) => {
        this.#requests.delete(request)
        if (reason !== undefined) this.receiver?.fail(request, reason)
      }
    })
    this.#requests.set(request, exchange)
  }

  /** A request that waits for a connection is never sent. The POST of another one may stay open until the server learns that it is cancelled. */
  cancelRequest(request: OutgoingRequest): boolean {
    const exchange = this.#requests.get(request)
    this.#requests.delete(request)
    if (exchange === undefined) return false
    if (request.isWritten) this.#limit(exchange, cancelTimeout)
    else this.#drop(exchange)
    return !request.isWritten
  }

  send(message: JSONRPCMessage): Promise<void> {
    const endpoint = this.#endpoint
    if (this.#isClosed || endpoint === undefined) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    return new Promise((resolve, reject) => {
      const exchange = this.#post({
        endpoint,
        text: encode(message),
        onStart: undefined,
        onEnd: (reason) => {
          this.#replies.delete(exchange)
          if (reason === undefined) resolve()
          else reject(reason)
        }
      })
      if (!("method" in message)) this.#replies.add(exchange)
      // A handshake has a limit of its own.
      if (this.receiver !== undefined) this.#limit(exchange, postTimeout, resolve)
    })
  }

  get pendingReplies(): number {
    return this.#replies.size
  }

  close(): Promise<void> {
    this.#close()
    return sent
  }

  onMessage(message: JSONRPCMessage): void {
    this.#inbox.push(message)
  }

  onChunk(bytes: number, source: Source): void {
    this.#inbox.onChunk(bytes, source)
  }

  onSkipped(text: string): void {
    ;(this.#skipped ??= new SkippedEvents()).add(this.#options.redact(text))
  }

  onEvent({ data, event }: SseEvent): void {
    if (event !== "endpoint" || this.#endpoint !== undefined) return
    const { url } = this.#options.target
    const endpoint = URL.canParse(data, url.href) ? new URL(data, url) : undefined
    if (endpoint?.origin !== url.origin) {
      return this.#refuse(new HandshakeFailed({ description: "the server names no endpoint of its own to post to" }))
    }
    this.#endpoint = targetOf(endpoint)
    this.#start?.resolve()
    this.#start = undefined
  }

  onEnd(end: End): void {
    if (this.#endpoint === undefined) return this.#refuse(this.#connectReasonOf(end))
    const { error } = end._tag === "Broken" ? end : { error: undefined }
    this.#ended ??= isTooLarge(error) ? () => error : closed
    this.#inbox.end(() => this.#close())
  }

  #post(options: {
    readonly endpoint: Target
    readonly text: string
    readonly onStart: (() => void) | undefined
    readonly onEnd: (reason: RequestReason | undefined) => void
  }): Exchange {
    const { endpoint, onEnd, onStart, text } = options
    const headers = [...this.#options.given, "content-type", "application/json"]
    const exchange = new Exchange(this.#options, {
      ...(onStart === undefined ? {} : { onStart }),
      // The response arrives on the stream. Some servers repeat it here.
      onMessage: () => {},
      onEnd: (end) => {
        this.#forget(exchange)
        onEnd(postReasonOf(end, endpoint))
      }
    })
    this.#posts.set(exchange, undefined)
    return exchange.start({ target: endpoint, method: "POST", headers, body: text })
  }

  /** Gives up a POST that is not accepted in time. */
  #limit(exchange: Exchange, millis: number, then?: () => void): void {
    if (!this.#posts.has(exchange)) return
    const timer = setTimeout(() => {
      this.#drop(exchange)
      then?.()
    }, millis)
    this.#posts.set(exchange, timer)
  }

  #drop(exchange: Exchange): void {
    this.#forget(exchange)
    this.#replies.delete(exchange)
    exchange.abort()
  }

  #forget(exchange: Exchange): void {
    clearTimeout(this.#posts.get(exchange))
    this.#posts.delete(exchange)
  }

  #connectReasonOf(end: End): ConnectReason {
    switch (end._tag) {
      case "Refused":
        return connectReasonOfStatus(end)
      case "Unreadable":
        return new HandshakeFailed({ description: "the server does not answer with an event stream", cause: end.cause })
      case "Broken":
        return classifyNetwork({ error: end.error, address: this.#options.target.origin, delivery: "NotSent" })
      case "Complete":
        return new HandshakeFailed({ description: "the event stream ended before it named an endpoint to post to" })
    }
  }

  /** Fails the start. */
  #refuse(reason: ConnectReason): void {
    this.#start?.reject(reason)
    this.#start = undefined
    this.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stream?.abort()
    for (const exchange of this.#posts.keys()) this.#drop(exchange)
    this.#requests.clear()
    this.#inbox.close()
    this.onclose?.()
  }
}

/** Says why a POST was not accepted; `undefined` if it was. */
const postReasonOf = (end: End, { origin }: Target): RequestReason | undefined => {
  switch (end._tag) {
    case "Refused": {
      const { retryAfter, status } = end
      return expiredStatuses.has(status)
        ? new SessionExpired({ status })
        : requestReasonOfStatus({ status, retryAfter, hasSession: true })
    }
    case "Broken":
      return classifyNetwork({ error: end.error, address: origin, delivery: "Unknown" })
    case "Complete":
    case "Unreadable":
      return undefined
  }
}
