/**
 * SDK transport for Streamable HTTP: the SDK's own, and a short way past it for the requests of an initialized legacy
 * session.
 *
 * The SDK's transport keeps the handshake, the modern era, the stream of the server's own messages and redirects. Requests
 * of the legacy era go out directly. Their failures come back in the shape of answers that carry a reason, since only an
 * answer settles a request in the SDK. A response stream that breaks off is taken up where the server offers that.
 *
 * Callbacks are looked up at the moment of each message, because the SDK replaces them after `start` when it probes.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import { InvalidResult, type Reason, ResponseLost } from "@mcp-sessions/core/SessionError"
import type {
  JSONRPCMessage,
  StreamableHTTPClientTransport,
  Transport,
  TransportSendOptions
} from "@modelcontextprotocol/client"
import { SdkHttpError } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import type { Dispatcher } from "undici"
import { type End, exchange } from "./httpExchange.ts"
import { Inbox } from "./inbox.ts"
import { classifyNetwork, reasonOfStatus } from "./sdkError.ts"

/** The SDK's classes are stricter about absent options than the interface that they implement. */
type InnerOptions = Parameters<StreamableHTTPClientTransport["send"]>[1]

type Request = JSONRPCMessage & { readonly id: string | number; readonly method: string }

/** How often a response stream is taken up again without anything having come of it. */
const maxResumes = 5

/** Bounds of the time before that, in milliseconds; servers may wish for anything. */
const resumeDelay = { initial: 1000, minimum: 500, maximum: 60_000 }

const isRequest = (message: JSONRPCMessage): message is Request => "method" in message && "id" in message

export interface HttpTransportOptions {
  readonly inner: StreamableHTTPClientTransport
  readonly dispatcher: Dispatcher
  readonly url: URL
  readonly headers: Record<string, string>
  readonly maxBytes: number
}

export class HttpTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  readonly hasPerRequestStream = true

  readonly #options: HttpTransportOptions
  readonly #inbox = new Inbox((message) => this.onmessage?.(message))
  /** Requests without an answer, and how to leave off waiting for it. */
  readonly #pending = new Map<string | number, () => void>()
  #protocolVersion: string | undefined
  #closing: Promise<void> | undefined
  #forgotten = false

  constructor(options: HttpTransportOptions) {
    this.#options = options
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
    inner.onclose = () => this.onclose?.()
    return inner.start()
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (!isRequest(message)) return this.#sendOther(message, options)
    if (this.#protocolVersion !== undefined && this.#protocolVersion < "2026") {
      this.#post(message)
      return Promise.resolve()
    }
    return this.#sendInner(message, options)
  }

  /** Gives the session back to the server. Fails where the server cannot be reached or will not have it. */
  terminateSession(): Promise<void> {
    return this.#options.inner.terminateSession()
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close()
  }

  async #close(): Promise<void> {
    for (const leave of this.#pending.values()) leave()
    this.#pending.clear()
    await this.#options.inner.close()
  }

  #receive(message: JSONRPCMessage): void {
    if ("id" in message && !("method" in message) && message.id !== undefined) this.#pending.delete(message.id)
    this.#inbox.push(message)
  }

  #fail({ id }: Request, reason: Reason): void {
    if (!this.#pending.delete(id)) return
    this.#inbox.push({ jsonrpc: "2.0", id, error: { code: -32000, message: reason.message, data: reason } })
  }

  async #sendOther(message: JSONRPCMessage, options: TransportSendOptions | undefined): Promise<void> {
    await this.#options.inner.send(message, options as InnerOptions)
    // Once the server knows that nobody waits, nobody does.
    if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.requestId as string | number
      this.#pending.get(id)?.()
      this.#pending.delete(id)
    }
  }

  async #sendInner(message: Request, options: TransportSendOptions | undefined): Promise<void> {
    const { id, method } = message
    const hadSession = this.sessionId !== undefined
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

  #post(message: Request): void {
    const { abort } = exchange({
      ...this.#options,
      method: "POST",
      headers: this.#headers(),
      body: JSON.stringify(message),
      onMessage: (message) => this.#receive(message),
      onEnd: (end) => this.#conclude(message, end)
    })
    this.#pending.set(message.id, abort)
  }

  #conclude(message: Request, end: End): void {
    // The answer has come, or nobody waits for it any more.
    if (!this.#pending.has(message.id)) return
    const { method } = message
    switch (end._tag) {
      case "Refused":
        // Where a redirect leads, and whether one may go there, the SDK knows.
        if (end.status < 400) return this.#redirect(message)
        if (end.status === 404 && this.sessionId !== undefined) this.#forgotten = true
        return this.#fail(message, reasonOfStatus({ ...end, hasSession: this.sessionId !== undefined }))
      case "Unreadable": {
        const description = `the answer to ${method} is neither JSON-RPC nor an event stream`
        return this.#fail(message, new InvalidResult({ method, description, cause: end.cause }))
      }
      case "Complete":
      case "Broken":
        if (end.lastEventId !== undefined) return this.#resume(message, end.lastEventId, end.retry, 1)
        return this.#fail(
          message,
          end._tag === "Complete"
            ? new ResponseLost({ method })
            : classifyNetwork({ error: end.error, address: this.#options.url.origin })
        )
    }
  }

  #redirect(message: Request): void {
    this.#sendInner(message, undefined).catch((error: unknown) => {
      this.#pending.set(message.id, () => {})
      this.#fail(
        message,
        error instanceof SdkHttpError
          ? reasonOfStatus({ status: error.status, hasSession: false, retryAfter: undefined })
          : classifyNetwork({ error, address: this.#options.url.origin })
      )
    })
  }

  /**
   * Takes up a response stream after its last event. Whatever becomes of it, the request itself has been sent: what fails
   * from here on is the answer.
   */
  #resume(message: Request, lastEventId: string, retry: number | undefined, resumes: number): void {
    if (resumes > maxResumes) return this.#fail(message, new ResponseLost({ method: message.method }))
    const delay = Math.min(Math.max(retry ?? resumeDelay.initial, resumeDelay.minimum), resumeDelay.maximum)
    const timer = setTimeout(() => {
      if (!this.#pending.has(message.id)) return
      const { abort } = exchange({
        ...this.#options,
        method: "GET",
        headers: { ...this.#headers(), accept: "text/event-stream", "last-event-id": lastEventId },
        body: null,
        onMessage: (message) => this.#receive(message),
        onEnd: (end) => {
          if (!this.#pending.has(message.id)) return
          if (end._tag === "Refused" || end._tag === "Unreadable") {
            return this.#fail(message, new ResponseLost({ method: message.method }))
          }
          const next = end.lastEventId ?? lastEventId
          this.#resume(message, next, end.retry ?? retry, next === lastEventId ? resumes + 1 : 1)
        }
      })
      this.#pending.set(message.id, abort)
    }, delay)
    this.#pending.set(message.id, () => clearTimeout(timer))
  }
}
