/**
 * SDK transport for Streamable HTTP: the SDK's own, and a short way past it for the requests of an initialized legacy
 * session.
 *
 * The SDK's transport keeps the handshake and the modern era. Requests of the legacy era go out directly, and the stream of the
 * server's own messages is kept open here. Their failures come back in the shape of answers that carry a reason, since only an answer
 * settles a request in the SDK. A response stream that breaks off is taken up where the server offers that.
 *
 * Callbacks are looked up at the moment of each message, because the SDK replaces them after `start` when it probes.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import {
  InvalidResult,
  MessageTooLarge,
  type RequestReason,
  ResponseLost,
  SessionExpired
} from "@mcp-sessions/core/SessionError"
import {
  type JSONRPCMessage,
  SdkHttpError,
  type StreamableHTTPClientTransport,
  type Transport,
  type TransportSendOptions
} from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import { clearTimeout, setTimeout } from "node:timers"
import type { Dispatcher } from "undici"
import { Backoff } from "../backoff.ts"
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { Receiver, RequestSink } from "../jsonRpc/engineChannel.ts"
import { encode, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox } from "../jsonRpc/orderedInbox.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "./status.ts"
import { type End, exchange } from "./httpExchange.ts"
import { ServerStream } from "./serverStream.ts"

/** The SDK's classes are stricter about absent options than the interface that they implement. */
type InnerOptions = Parameters<StreamableHTTPClientTransport["send"]>[1]

type Request = JSONRPCMessage & { readonly id: string | number; readonly method: string }

/** How often a response stream is taken up again without anything having come of it. */
const maxResumes = 5

const maxRedirects = 3

/** How long telling the server of a cancellation may take, in milliseconds. */
const cancelTimeout = 2000

/** How long a stream may stay open after the answer that it was for, in milliseconds. */
const lingering = 1000

const isRequest = (message: JSONRPCMessage): message is Request => "method" in message && "id" in message

const isInitialized = (message: JSONRPCMessage): boolean =>
  "method" in message && message.method === "notifications/initialized"

const isTooLarge = Schema.is(MessageTooLarge)

/** Whether a refusal is a JSON-RPC error that belongs to no request: servers say so of sessions that they do not know. */
const isOrphanError = (body: string): boolean => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null && "error" in value && (!("id" in value) || value.id === null)
  } catch {
    return false
  }
}

/**
 * Paces how the SDK takes up a response stream of the modern era. By itself it would take any wish of the server for its law, 0
 * included.
 */
export const reconnectSlowly = () => {
  const backoff = new Backoff()
  return (reconnect: () => void, delay: number): () => void => {
    const timer = setTimeout(reconnect, backoff.next(performance.now(), delay))
    return () => clearTimeout(timer)
  }
}

export interface HttpTransportOptions {
  readonly inner: StreamableHTTPClientTransport
  readonly dispatcher: Dispatcher
  readonly url: URL
  readonly headers: Record<string, string>
  readonly maxBytes: number
}

export class HttpTransport implements Transport, RequestSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined
  readonly hasPerRequestStream = true
  readonly #requests = new Map<string | number, OutgoingRequest>()

  /** What the server of a legacy session says of its own accord. */
  readonly serverStream: ServerStream

  readonly #options: HttpTransportOptions
  readonly #inbox = new OrderedInbox(this)
  /** Requests without an answer, and how to leave off waiting for it. */
  readonly #pending = new Map<string | number, () => void>()
  /** Exchanges that have brought their answer and have not ended yet. */
  #answered = new Set<() => void>()
  #sweeper: NodeJS.Timeout | undefined
  /** Where the endpoint is, as far as redirects have told. */
  #url: URL
  #protocolVersion: string | undefined
  #isClosed = false
  #forgotten = false

  constructor(options: HttpTransportOptions) {
    this.#options = options
    this.#url = options.url
    this.serverStream = new ServerStream({
      exchange: options,
      place: () => ({ url: this.#url, headers: this.#headers() }),
      onMessage: (message) => this.#receive(message)
    })
  }

  get sessionId(): string | undefined {
    return this.#options.inner.sessionId
  }

  /** Whether the server still holds a session that has to be given back. */
  get holdsSession(): boolean {
    return this.sessionId !== undefined && !this.#forgotten
  }

  setProtocolVersion(version: string): void {
    this.#protocolVersion = version
    this.#options.inner.setProtocolVersion(version)
  }

  start(): Promise<void> {
    const { inner } = this.#options
    inner.onmessage = (message) => this.#receive(message)
    inner.onerror = (error) => this.onerror?.(error)
    inner.onclose = () => void this.close()
    return inner.start()
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (isInitialized(message)) return this.#begin(message)
    if (!isRequest(message)) return this.#sendOther(message, options)
    if (this.#protocolVersion === undefined || this.#protocolVersion >= "2026") return this.#sendInner(message, options)
    let body: string
    try {
      body = encode(message)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    this.#post(message, body, 0)
    return sent
  }

  sendRequest(request: OutgoingRequest, _: string, message: Request): void {
    request.isWritten = true
    this.#requests.set(message.id, request)
    this.send(message).catch((error: unknown) => this.receiver?.fail(request, error as RequestReason))
  }

  /** Ends the connection. The session stays with the server, and this transport able to give it back: see `dispose`. */
  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true
      for (const leave of [...this.#pending.values(), ...this.#answered]) leave()
      this.#pending.clear()
      this.#answered.clear()
      clearTimeout(this.#sweeper)
      this.serverStream.close()
      this.onclose?.()
    }
    return Promise.resolve()
  }

  /** Gives the session back to the server. Fails where the server cannot be reached or will not have it. */
  terminateSession(): Promise<void> {
    return this.#options.inner.terminateSession()
  }

  /** Ends whatever is still under way. */
  async dispose(): Promise<void> {
    await this.close()
    await this.#options.inner.close()
  }

  #receive(message: JSONRPCMessage): void {
    if ("id" in message && !("method" in message) && message.id !== undefined) {
      const leave = this.#pending.get(message.id)
      this.#requests.delete(message.id)
      this.#pending.delete(message.id)
      if (leave !== undefined) this.#linger(leave)
    }
    this.#inbox.push(message)
  }

  /** Most servers end the stream with the answer. Those that do not would keep a socket for each call. */
  #linger(leave: () => void): void {
    this.#answered.add(leave)
    this.#sweeper ??= setTimeout(() => {
      this.#sweeper = undefined
      const late = this.#answered
      this.#answered = new Set()
      for (const leave of late) leave()
    }, lingering)
  }

  #fail({ id }: Request, reason: RequestReason): void {
    if (!this.#pending.delete(id)) return
    const request = this.#requests.get(id)
    if (request !== undefined) {
      this.#requests.delete(id)
      return this.receiver?.fail(request, reason)
    }
    this.#inbox.push({ jsonrpc: "2.0", id, error: { code: -32000, message: reason.message, data: reason } })
  }

  /** Ends the handshake of a legacy session, and listens from then on. The SDK would do both, but not listen for long. */
  #begin(message: JSONRPCMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const post = (redirects: number): void => {
        exchange({
          ...this.#options,
          url: this.#url,
          method: "POST",
          headers: this.#headers(),
          body: encode(message),
          onMessage: (message) => this.#receive(message),
          onEnd: (end) => {
            if (end._tag === "Refused") {
              if (this.#follows(end, redirects)) return post(redirects + 1)
              const { retryAfter, status } = end
              return reject(connectReasonOfStatus({ status, retryAfter }))
            }
            if (end._tag === "Broken") return reject(classifyNetwork({ error: end.error, address: this.#url.origin, delivery: "Unknown" }))
            this.serverStream.open()
            resolve()
          }
        })
      }
      post(0)
    })
  }

  /**
   * Goes where a refusal points to, if that is to be followed: only these two say that nothing was done here, and ask for the same
   * request there. Secrets stay within the origin that they were meant for.
   */
  #follows({ location, status }: Extract<End, { readonly _tag: "Refused" }>, redirects: number): boolean {
    if ((status !== 307 && status !== 308) || location === undefined || redirects >= maxRedirects) return false
    const target = URL.canParse(location, this.#url.href) ? new URL(location, this.#url) : undefined
    if (target?.origin !== this.#url.origin) return false
    this.#url = target
    return true
  }

  async #sendOther(message: JSONRPCMessage, options: TransportSendOptions | undefined): Promise<void> {
    const isCancellation = "method" in message && message.method === "notifications/cancelled"
    const bounded = isCancellation ? { ...options, requestSignal: AbortSignal.timeout(cancelTimeout) } : options
    try {
      await this.#options.inner.send(message, bounded as InnerOptions)
    } finally {
      // Once the server knows that nobody waits, or cannot be told, nobody does.
      if (isCancellation) {
        const id = message.params?.requestId as string | number
        this.#pending.get(id)?.()
        this.#pending.delete(id)
      }
    }
  }

  async #sendInner(message: Request, options: TransportSendOptions | undefined): Promise<void> {
    const { id, method } = message
    const hadSession = this.sessionId !== undefined
    // The SDK would take it for a failure of the network.
    encode(message)
    this.#pending.set(id, () => {})
    const onRequestStreamEnd = () => {
      options?.onRequestStreamEnd?.()
      if (options?.requestSignal?.aborted === true) this.#pending.delete(id)
      else this.#fail(message, new ResponseLost({ method }))
    }
    try {
      await this.#options.inner.send(message, { ...options, onRequestStreamEnd } as InnerOptions)
    } catch (error) {
      this.#pending.delete(id)
      if (hadSession && error instanceof SdkHttpError && error.status === 404) this.#forgotten = true
      throw error
    }
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = {
      ...this.#options.headers,
      accept: "application/json, text/event-stream",
      "content-type": "application/json"
    }
    if (this.sessionId !== undefined) headers["mcp-session-id"] = this.sessionId
    if (this.#protocolVersion !== undefined) headers["mcp-protocol-version"] = this.#protocolVersion
    return headers
  }

  #post(message: Request, body: string, redirects: number): void {
    const { abort } = exchange({
      ...this.#options,
      url: this.#url,
      method: "POST",
      headers: this.#headers(),
      body,
      onMessage: (message) => this.#receive(message),
      onEnd: (end) => {
        this.#answered.delete(abort)
        this.#conclude(message, end, body, redirects)
      }
    })
    this.#pending.set(message.id, abort)
  }

  #conclude(message: Request, end: End, body: string, redirects: number): void {
    // The answer has come, or nobody waits for it any more.
    if (!this.#pending.has(message.id)) return
    const { method } = message
    switch (end._tag) {
      case "Refused":
        return this.#refused(message, end, body, redirects)
      case "Unreadable": {
        const description = `the answer to ${method} is neither JSON-RPC nor an event stream`
        return this.#fail(message, new InvalidResult({ method, description, cause: end.cause }))
      }
      case "Complete":
      case "Broken":
        if (end.lastEventId !== undefined) return this.#resume(message, end.lastEventId, end.retry, 1, new Backoff())
        return this.#fail(
          message,
          end._tag === "Complete"
            ? new ResponseLost({ method })
            : classifyNetwork({ error: end.error, address: this.#url.origin, delivery: "Unknown" })
        )
    }
  }

  #refused(message: Request, end: Extract<End, { readonly _tag: "Refused" }>, body: string, redirects: number): void {
    const { retryAfter, status } = end
    if (this.#follows(end, redirects)) return this.#post(message, body, redirects + 1)
    const hasSession = this.sessionId !== undefined
    const isExpired = hasSession && (status === 404 || (status === 400 && isOrphanError(end.body)))
    if (isExpired) this.#forgotten = true
    this.#fail(
      message,
      isExpired
        ? new SessionExpired({ status })
        : requestReasonOfStatus({ status, hasSession, retryAfter })
    )
  }

  /**
   * Takes up a response stream after its last event. Whatever becomes of it, the request itself has been sent: what fails
   * from here on is the answer.
   */
  #resume(message: Request, lastEventId: string, retry: number | undefined, resumes: number, backoff: Backoff): void {
    if (resumes > maxResumes) return this.#fail(message, new ResponseLost({ method: message.method }))
    const timer = setTimeout(() => {
      if (!this.#pending.has(message.id)) return
      const { abort } = exchange({
        ...this.#options,
        url: this.#url,
        method: "GET",
        headers: { ...this.#headers(), accept: "text/event-stream", "last-event-id": lastEventId },
        body: null,
        onMessage: (message) => this.#receive(message),
        onEnd: (end) => {
          this.#answered.delete(abort)
          if (!this.#pending.has(message.id)) return
          if (end._tag === "Broken" && isTooLarge(end.error)) return this.#fail(message, end.error)
          if (end._tag === "Refused" || end._tag === "Unreadable") {
            return this.#fail(message, new ResponseLost({ method: message.method }))
          }
          const next = end.lastEventId ?? lastEventId
          const isStuck = next === lastEventId
          this.#resume(message, next, end.retry ?? retry, isStuck ? resumes + 1 : 1, isStuck ? backoff : new Backoff())
        }
      })
      this.#pending.set(message.id, abort)
    }, backoff.next(performance.now(), retry))
    this.#pending.set(message.id, () => clearTimeout(timer))
  }
}
