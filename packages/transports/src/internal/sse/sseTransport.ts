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
  type RequestReason,
  SessionExpired,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import {
  type End,
  Exchange,
  type ExchangeListener,
  isTooLarge,
  type Target,
  targetOf,
  type Wire
} from "../http/httpExchange.ts"
import { LingeringExchanges } from "../http/lingeringExchanges.ts"
import type { SseEvent } from "../http/sseParser.ts"
import { encode, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink, Responder } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "../network/status.ts"

export interface SseTransportOptions extends Wire {
  readonly target: Target
  /** The headers of the definition, names and values in turn. */
  readonly given: ReadonlyArray<string>
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
}

/** Statuses that servers answer a POST with whose session they do not know. */
const expiredStatuses = new Set([400, 404, 410])

const closed: EndReason = (delivery) => new TransportClosed({ delivery })

export class SseTransport implements Transport, RequestSink, ExchangeListener {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined
  responder: Responder | undefined

  readonly #options: SseTransportOptions
  readonly #inbox = new OrderedInbox(this)
  /** Posts that were not accepted yet. */
  readonly #posts = new Set<Exchange>()
  #stream: Exchange | undefined
  #start: { readonly resolve: () => void; readonly reject: (reason: ConnectReason) => void } | undefined
  #endpoint: Target | undefined
  #isClosed = false
  #ended: EndReason | undefined
  #skipped: SkippedTexts | undefined
  /** Posts that were accepted, and whose bodies have not ended. */
  #lingering: LingeringExchanges | undefined

  constructor(options: SseTransportOptions) {
    this.#options = options
  }

  /** Returns why the stream ended, unless it was closed by us. */
  ended(): EndReason | undefined {
    return this.#ended
  }

  warnings(): ReadonlyArray<string> {
    return this.#skipped?.warnings("event") ?? []
  }

  /** Opens the stream, and waits for the endpoint to post to. The transport is closed to stop waiting. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#start = { resolve, reject }
      const { given, target } = this.#options
      const headers = [...given, "accept", "text/event-stream"]
      this.#stream = new Exchange(this.#options, this).start({ target, method: "GET", headers, body: null })
    })
  }

  sendRequest(request: OutgoingRequest, text: string): void {
    const endpoint = this.#endpoint
    if (this.#isClosed || endpoint === undefined) return
    this.#post({
      endpoint,
      text,
      onStart: () => {
        request.isWritten = true
      },
      onEnd: (reason) => {
        if (reason !== undefined) this.receiver?.fail(request, reason)
      }
    })
  }

  send(message: JSONRPCMessage): Promise<void> {
    const endpoint = this.#endpoint
    if (this.#isClosed || endpoint === undefined) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    return new Promise((resolve, reject) => {
      this.#post({
        endpoint,
        text: encode(message),
        onStart: undefined,
        onEnd: (reason) => reason === undefined ? resolve() : reject(reason)
      })
    })
  }

  close(): Promise<void> {
    this.#close()
    return sent
  }

  onMessage(message: JSONRPCMessage): void {
    this.#inbox.push(message)
  }

  onSkipped(text: string): void {
    ;(this.#skipped ??= new SkippedTexts(this.#options.redact)).add(text)
  }

  onEvent({ data, event }: SseEvent): boolean {
    if (event !== "endpoint") return false
    if (this.#endpoint === undefined) this.#useEndpoint(data)
    return true
  }

  #useEndpoint(data: string): void {
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
    this.#close()
  }

  #post(options: {
    readonly endpoint: Target
    readonly text: string
    readonly onStart: (() => void) | undefined
    readonly onEnd: (reason: RequestReason | undefined) => void
  }): void {
    const { endpoint, onEnd, onStart, text } = options
    const headers = [...this.#options.given, "content-type", "application/json"]
    const exchange = new Exchange(this.#options, {
      ...(onStart === undefined ? {} : { onStart }),
      // The response arrives on the stream. Some servers repeat it here.
      onMessage: () => {},
      onSkipped: () => {},
      onHead: (status) => {
        if (status < 200 || status >= 300) return
        // The status has accepted the message. The body may never end.
        this.#posts.delete(exchange)
        ;(this.#lingering ??= new LingeringExchanges()).add(exchange)
        onEnd(undefined)
      },
      onEnd: (end) => {
        this.#lingering?.delete(exchange)
        if (this.#posts.delete(exchange)) onEnd(postReasonOf(end, endpoint))
      }
    })
    this.#posts.add(exchange)
    exchange.start({ target: endpoint, method: "POST", headers, body: text })
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
    for (const exchange of this.#posts) exchange.abort()
    this.#posts.clear()
    this.#lingering?.close()
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
