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
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, JSONRPCRequest, Transport } from "@modelcontextprotocol/client"
import { excerptOf, withExcerpt } from "../http/excerpt.ts"
import { redirectOf } from "../http/httpEndpoint.ts"
import {
  type End,
  Exchange,
  type ExchangeListener,
  isTooLarge,
  type Refusal,
  type Target,
  targetOf,
  type Wire
} from "../http/httpExchange.ts"
import type { Ping, SessionKind } from "../http/refusal.ts"
import { SessionQuestion } from "../http/sessionQuestion.ts"
import type { SseEvent } from "../http/sseParser.ts"
import { encode, sent } from "../jsonRpc/codec.ts"
import { OrderedInbox, type Source } from "../jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "../jsonRpc/requestSink.ts"
import { SkippedTexts } from "../jsonRpc/skippedTexts.ts"
import { classifyNetwork, isUnsent } from "../network/networkFailure.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "../network/status.ts"
import { type Post, SsePosts } from "./ssePosts.ts"

export interface SseTransportOptions extends Wire {
  readonly target: Target
  /** The headers of the definition, names and values in turn. */
  readonly given: ReadonlyArray<string>
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
}

/** How long a server may take to accept a POST that is no request, in milliseconds. */
const postTimeout = 30_000

/** How long the POST of a cancelled request may stay open, in milliseconds. */
const cancelTimeout = 2000

/** A ping on the session: its POST was accepted, and the answer is to come on the stream. */
interface PendingPing {
  readonly id: string | number
  readonly onEnd: (ping: Ping) => void
}

const closed: EndReason = (delivery) => new TransportClosed({ delivery })

export class SseTransport implements Transport, RequestSink, ExchangeListener {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined

  readonly #options: SseTransportOptions
  readonly #inbox = new OrderedInbox(this)
  readonly #posts: SsePosts
  /** Requests of the engine that were not accepted yet. */
  readonly #requests = new Map<OutgoingRequest, Post>()
  /** Replies to requests of the server that were not accepted yet. */
  readonly #replies = new Set<Post>()
  #stream: Exchange | undefined
  /** Where the stream is: the URL of the definition, or where it redirects to. */
  #source: Target
  #question: SessionQuestion | undefined
  #ping: PendingPing | undefined
  #start: { readonly resolve: () => void; readonly reject: (reason: ConnectReason) => void } | undefined
  #isClosed = false
  #ended: EndReason | undefined
  #skipped: SkippedTexts | undefined

  constructor(options: SseTransportOptions) {
    this.#options = options
    this.#posts = new SsePosts(options)
    this.#source = options.target
  }

  /** The session is in the URL to post to. */
  get sessionKind(): SessionKind {
    return "url"
  }

  /** Returns why the stream ended, unless it was closed by us. */
  ended(): EndReason | undefined {
    return this.#ended
  }

  /** Says whether the server has named an endpoint. */
  pending(): string {
    return this.#posts.endpoint === undefined
      ? "the event stream has named no endpoint to post to (it begins with an event named \"endpoint\")"
      : "the server has not answered the handshake on the event stream"
  }

  warnings(): ReadonlyArray<string> {
    return [...(this.#skipped?.warnings("event") ?? []), ...this.#inbox.warnings()]
  }

  /** Opens the stream, and waits for the endpoint to post to. The transport is closed to stop waiting. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#start = { resolve, reject }
      this.#open(0)
    })
  }

  sendRequest(request: OutgoingRequest, text: string, { id }: JSONRPCRequest): void {
    if (this.#isClosed) return
    const post: Post = {
      text,
      onStart: () => {
        request.isWritten = true
      },
      onEnd: (failure) => {
        this.#requests.delete(request)
        if (failure?._tag === "Refused") this.#judge(request, id, failure)
        else if (failure !== undefined) {
          // An HTTP client may report a start that it is not sure of, and learn better.
          if (isUnsent(failure.error)) request.isWritten = false
          this.receiver?.fail(request, this.#brokenReason(failure))
        }
      },
      exchange: undefined,
      timer: undefined
    }
    this.#requests.set(request, post)
    this.#posts.post(post)
  }

  /** A request that waits for a connection, or for credentials, is not sent. The POST of another one may stay open until the server learns that it is cancelled. */
  cancelRequest(request: OutgoingRequest): boolean {
    const post = this.#requests.get(request)
    this.#requests.delete(request)
    if (post === undefined) return false
    const isWithServer = request.isWritten && post.exchange?.isChallenged !== true
    if (isWithServer) this.#posts.limit(post, cancelTimeout)
    else this.#posts.drop(post)
    return !isWithServer
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed || this.#posts.endpoint === undefined) {
      return Promise.reject(new TransportClosed({ delivery: "NotSent" }))
    }
    return new Promise((resolve, reject) => {
      const post: Post = {
        text: encode(message),
        onStart: undefined,
        onEnd: (failure) => {
          this.#replies.delete(post)
          if (failure === undefined) resolve()
          else reject(failure._tag === "Refused" ? this.#refusedReason(failure) : this.#brokenReason(failure))
        },
        exchange: undefined,
        timer: undefined
      }
      if (!("method" in message)) this.#replies.add(post)
      this.#posts.post(post)
      // A handshake has a limit of its own.
      if (this.receiver !== undefined) {
        this.#posts.limit(post, postTimeout, () => {
          this.#replies.delete(post)
          resolve()
        })
      }
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
    const ping = this.#ping
    if (ping !== undefined && !("method" in message) && message.id === ping.id) {
      return ping.onEnd({ _tag: "Answered" })
    }
    this.#inbox.push(message)
  }

  onChunk(bytes: number, source: Source): void {
    this.#inbox.onChunk(bytes, source)
  }

  onSkipped(text: string): void {
    ;(this.#skipped ??= new SkippedTexts(this.#options.redact)).add(text)
  }

  onEvent({ data, event }: SseEvent): boolean {
    if (event !== "endpoint") return false
    if (this.#posts.endpoint === undefined) this.#useEndpoint(data)
    return true
  }

  #useEndpoint(data: string): void {
    const { url } = this.#source
    const endpoint = URL.canParse(data, url.href) ? new URL(data, url) : undefined
    if (endpoint?.origin !== url.origin) {
      return this.#refuse(new HandshakeFailed({ description: "the server names no endpoint of its own to post to" }))
    }
    this.#posts.endpoint = targetOf(endpoint)
    this.#start?.resolve()
    this.#start = undefined
  }

  onEnd(end: End): void {
    if (this.#posts.endpoint === undefined) return this.#refuse(this.#connectReasonOf(end))
    const { error } = end._tag === "Broken" ? end : { error: undefined }
    this.#ended ??= isTooLarge(error) ? () => error : closed
    this.#inbox.end(() => this.#close())
  }

  /** Opens the stream, through its redirects. */
  #open(redirects: number): void {
    const headers = [...this.#options.given, "accept", "text/event-stream"]
    const listener: ExchangeListener = {
      onMessage: (message) => this.onMessage(message),
      onSkipped: (text) => this.onSkipped(text),
      onEvent: (event) => this.onEvent(event),
      onChunk: (bytes, source) => this.onChunk(bytes, source),
      onEnd: (end) => {
        const target = end._tag === "Refused" ? redirectOf({ refusal: end, from: this.#source, redirects }) : undefined
        if (target === undefined) return this.onEnd(end)
        this.#source = target
        this.#open(redirects + 1)
      }
    }
    this.#stream = new Exchange(this.#options, listener)
    this.#stream.start({ target: this.#source, method: "GET", headers, body: null, isStream: true })
  }

  /** Ends a request whose POST was refused, once it is known what the refusal means. */
  #judge(request: OutgoingRequest, id: string | number, refusal: Refusal): void {
    const { redact } = this.#options
    this.#question ??= new SessionQuestion({
      transport: this,
      redact,
      ping: (message, onEnd) => this.#sendPing(message, onEnd)
    })
    this.#question.resolve({ id, refusal }, (verdict) => {
      if (verdict._tag === "Response") this.#inbox.push(verdict.response, request)
      else this.receiver?.fail(request, verdict.reason)
    })
  }

  #sendPing(message: JSONRPCRequest, onEnd: (ping: Ping) => void): () => void {
    const { id } = message
    const post: Post = {
      text: encode(message),
      onStart: undefined,
      onEnd: (failure) => {
        if (failure?._tag === "Refused") onEnd({ _tag: "Refused", id, refusal: failure })
        else if (failure !== undefined) onEnd({ _tag: "Unanswered" })
      },
      exchange: undefined,
      timer: undefined
    }
    this.#ping = { id, onEnd }
    this.#posts.post(post)
    return () => {
      this.#ping = undefined
      this.#posts.drop(post)
    }
  }

  /** The reason of a refused message that is no request of the engine. */
  #refusedReason({ body, retryAfter, status }: Refusal): RequestReason {
    const response = { status, retryAfter, body: excerptOf({ body, redact: this.#options.redact }) }
    return this.receiver === undefined ? connectReasonOfStatus(response) : requestReasonOfStatus(response)
  }

  #brokenReason({ error }: Extract<End, { readonly _tag: "Broken" }>): RequestReason {
    return classifyNetwork({ error, address: this.#options.target.origin, delivery: "Unknown" })
  }

  #connectReasonOf(end: End): ConnectReason {
    switch (end._tag) {
      case "Refused":
        return connectReasonOfStatus({ ...end, body: excerptOf({ body: end.body, redact: this.#options.redact }) })
      case "Unreadable": {
        const description = "the server does not answer with an event stream"
        const { redact } = this.#options
        return new HandshakeFailed({ description: withExcerpt({ description, body: end.body, redact }) })
      }
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
    this.#question?.close()
    this.#stream?.abort()
    this.#posts.close()
    this.#replies.clear()
    this.#requests.clear()
    this.#inbox.close()
    this.onclose?.()
  }
}
