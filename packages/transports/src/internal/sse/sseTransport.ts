/**
 * SDK transport for the two endpoints of 2024-11-05: a stream of events to listen to, whose first event names the place to
 * post to.
 *
 * The stream is the session. When it ends, so does the connection: a new stream would be a new session, and not an
 * initialized one.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
import {
  type ConnectReason,
  HandshakeFailed,
  MessageTooLarge,
  type RequestReason,
  SessionExpired,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import type { Dispatcher } from "undici"
import { type End, exchange } from "../http/httpExchange.ts"
import { encode } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "../http/status.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/engineChannel.ts"
import { classifyNetwork } from "../network/networkFailure.ts"

export interface SseTransportOptions {
  readonly dispatcher: Dispatcher
  readonly url: URL
  readonly headers: Record<string, string>
  readonly maxBytes: number
}

const isTooLarge = Schema.is(MessageTooLarge)

/** What servers answer that do not know the session which the place to post to belongs to. */
const forgotten = new Set([400, 404, 410])

export class SseTransport implements Transport, RequestSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void

  receiver: Receiver | undefined

  readonly #options: SseTransportOptions
  readonly #inbox = new OrderedInbox(this)
  readonly #posts = new Set<() => void>()
  #listening: (() => void) | undefined
  #refuse: ((reason: ConnectReason) => void) | undefined
  #endpoint: URL | undefined
  #isClosed = false
  #failure: EndReason | undefined

  constructor(options: SseTransportOptions) {
    this.#options = options
  }

  ended(): EndReason | undefined {
    return this.#failure
  }

  sendRequest(request: OutgoingRequest, _: string, message: JSONRPCMessage): void {
    request.isWritten = true
    this.send(message).catch((error: unknown) => this.receiver?.fail(request, error as RequestReason))
  }

  /** Listens, and waits for the place to post to. Whoever gives up waiting closes the transport. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { headers, url } = this.#options
      this.#listening = exchange({
        ...this.#options,
        method: "GET",
        headers: { ...headers, accept: "text/event-stream" },
        body: null,
        onMessage: (message) => this.#inbox.push(message),
        onEvent: ({ data, event }) => {
          if (event !== "endpoint" || this.#endpoint !== undefined) return
          const endpoint = URL.canParse(data, url.href) ? new URL(data, url) : undefined
          if (endpoint?.origin !== url.origin) {
            const description = "the server names no place of its own to post to"
            return this.#fail(new HandshakeFailed({ description }))
          }
          this.#endpoint = endpoint
          resolve()
        },
        onEnd: (end) => this.#fail(this.#reasonOf(end))
      }).abort
      this.#refuse = reject
    })
  }

  send(message: JSONRPCMessage): Promise<void> {
    const endpoint = this.#endpoint
    if (this.#isClosed || endpoint === undefined) return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    return new Promise((resolve, reject) => {
      const body = encode(message)
      const { abort } = exchange({
        ...this.#options,
        url: endpoint,
        method: "POST",
        headers: { ...this.#options.headers, "content-type": "application/json" },
        body,
        // The answer comes on the stream. What some servers say here in addition is not it.
        onMessage: () => {},
        onEnd: (end) => {
          this.#posts.delete(abort)
          if (end._tag === "Refused") {
            const { retryAfter, status } = end
            reject(
              forgotten.has(status)
                ? new SessionExpired({ status })
                : requestReasonOfStatus({ status, retryAfter, hasSession: true })
            )
          } else if (end._tag === "Broken") {
            reject(classifyNetwork({ error: end.error, address: endpoint.origin, delivery: "Unknown" }))
          } else resolve()
        }
      })
      this.#posts.add(abort)
    })
  }

  close(): Promise<void> {
    this.#end()
    return Promise.resolve()
  }

  #reasonOf(end: End): ConnectReason {
    const isConnecting = this.#endpoint === undefined
    switch (end._tag) {
      case "Refused":
        return connectReasonOfStatus(end)
      case "Unreadable":
        return new HandshakeFailed({ description: "the server does not answer with an event stream", cause: end.cause })
      case "Broken":
        if (isTooLarge(end.error)) return end.error
        return isConnecting
          ? classifyNetwork({ error: end.error, address: this.#options.url.origin, delivery: "NotSent" })
          : new TransportClosed({ delivery: "NotSent" })
      case "Complete":
        return isConnecting
          ? new HandshakeFailed({ description: "the event stream ended without naming a place to post to" })
          : new TransportClosed({ delivery: "NotSent" })
    }
  }

  #fail(reason: ConnectReason): void {
    this.#failure ??= (delivery) =>
      reason._tag === "MessageTooLarge"
        ? new MessageTooLarge({ limit: reason.limit, delivery })
        : new TransportClosed({ delivery })
    this.#refuse?.(reason)
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#listening?.()
    for (const abort of this.#posts) abort()
    this.onclose?.()
  }
}
