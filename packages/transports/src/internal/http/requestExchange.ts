/**
 * Sends one request over HTTP and follows it to its response: through redirects, and through resumptions of its response stream.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import { encode } from "../jsonRpc/codec.ts"
import type { Source } from "../jsonRpc/orderedInbox.ts"
import { isUnsent } from "../network/networkFailure.ts"
import type { Failure } from "./failure.ts"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { type End, Exchange, type ExchangeListener, isTooLarge, type Wire } from "./httpExchange.ts"
import type { Ping } from "./refusal.ts"
import { Backoff } from "./streamBackoff.ts"

/** How many resumptions in a row may bring nothing. */
const resumeLimit = 5

/** The transport that a request goes over. */
export interface RequestOwner {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
  headersOf(message: JSONRPCRequest): Array<string>
  /** Receives the status of the first response that is no redirect. */
  readonly onHead: (exchange: RequestExchange, headerOf: (name: string) => string | undefined) => void
  readonly onMessage: (exchange: RequestExchange, message: JSONRPCMessage) => void
  readonly onSkipped: (text: string) => void
  readonly onChunk: (bytes: number, source: Source) => void
  /** Called when nothing more can come. `failure`: no response came. Not called after `abort`. */
  readonly onEnd: (exchange: RequestExchange, failure: Failure | undefined) => void
}

export class RequestExchange implements ExchangeListener {
  readonly message: JSONRPCRequest
  /** The request of the engine; `undefined` for requests of the SDK's client. */
  readonly request: OutgoingRequest | undefined
  isAnswered = false

  readonly #owner: RequestOwner
  readonly #text: string
  #exchange: Exchange | undefined
  #timer: NodeJS.Timeout | undefined
  #redirects = 0
  #resumption: Resumption | undefined

  constructor(options: {
    readonly owner: RequestOwner
    readonly message: JSONRPCRequest
    readonly text: string
    readonly request: OutgoingRequest | undefined
  }) {
    this.#owner = options.owner
    this.message = options.message
    this.#text = options.text
    this.request = options.request
  }

  /** Sends the request. */
  post(): void {
    const { endpoint, wire } = this.#owner
    const headers = this.#owner.headersOf(this.message)
    const exchange = this.#exchange = new Exchange(wire, this)
    const isStream = this.message.method === "subscriptions/listen"
    exchange.start({ target: endpoint.target, method: "POST", headers, body: this.#text, isStream })
  }

  /** Whether the server has refused the request for lack of credentials, and it has not been sent again. */
  get isChallenged(): boolean {
    return this.#exchange?.isChallenged === true
  }

  /** Ends the request without another word to its owner. */
  abort(): void {
    this.#exchange?.abort()
    clearTimeout(this.#timer)
  }

  onStart(): void {
    if (this.request !== undefined) this.request.isWritten = true
  }

  onHead(status: number, headerOf: (name: string) => string | undefined): void {
    if (status >= 200 && status < 300) this.#owner.onHead(this, headerOf)
  }

  onMessage(message: JSONRPCMessage): void {
    if (!("method" in message)) {
      if (message.id === this.message.id) this.isAnswered = true
      // An error without an id, in reply to the POST.
      else if (message.id === undefined && !this.isAnswered) {
        return this.onMessage({ ...message, id: this.message.id })
      }
    }
    this.#owner.onMessage(this, message)
  }

  onSkipped(text: string): void {
    this.#owner.onSkipped(text)
  }

  onChunk(bytes: number, source: Source): void {
    this.#owner.onChunk(bytes, source)
  }

  onEnd(end: End): void {
    this.#exchange = undefined
    if (this.isAnswered) return this.#owner.onEnd(this, undefined)
    const failure = this.#resumption === undefined ? this.#failureOfPost(end) : this.#failureOfResume(end)
    if (failure !== undefined) this.#owner.onEnd(this, failure)
  }

  /** `undefined`: the request is on its way again. */
  #failureOfPost(end: End): Failure | undefined {
    switch (end._tag) {
      case "Refused":
        if (!this.#owner.endpoint.follow(end, this.#redirects)) return end
        this.#redirects++
        this.post()
        return undefined
      case "Unreadable":
        return end
      case "Complete":
      case "Broken":
        // An HTTP client may report a start that it is not sure of, and learn better.
        if (this.request !== undefined && end._tag === "Broken" && isUnsent(end.error)) this.request.isWritten = false
        if (end.lastEventId === undefined) return end._tag === "Broken" ? end : { _tag: "Lost" }
        this.#resumption = { lastEventId: end.lastEventId, retry: end.retry, failures: 1, backoff: new Backoff() }
        return this.#resumeLater(this.#resumption)
    }
  }

  /** The request has been sent: whatever fails from here on, its outcome is unknown. */
  #failureOfResume(end: End): Failure | undefined {
    const resumption = this.#resumption
    if (resumption === undefined || end._tag === "Refused" || end._tag === "Unreadable") return { _tag: "Lost" }
    if (end._tag === "Broken" && isTooLarge(end.error)) return end
    const lastEventId = end.lastEventId ?? resumption.lastEventId
    if (lastEventId === resumption.lastEventId) resumption.failures++
    else {
      resumption.failures = 1
      resumption.backoff = new Backoff()
    }
    resumption.lastEventId = lastEventId
    resumption.retry = end.retry ?? resumption.retry
    return this.#resumeLater(resumption)
  }

  #resumeLater(resumption: Resumption): Failure | undefined {
    if (resumption.failures > resumeLimit) return { _tag: "Lost" }
    this.#timer = setTimeout(
      () => this.#resume(resumption.lastEventId),
      resumption.backoff.next(performance.now(), resumption.retry)
    )
    return undefined
  }

  #resume(lastEventId: string): void {
    const { endpoint, wire } = this.#owner
    const headers = endpoint.bareHeaders("accept", "text/event-stream", "last-event-id", lastEventId)
    const exchange = this.#exchange = new Exchange(wire, this)
    exchange.start({ target: endpoint.target, method: "GET", headers, body: null })
  }
}

/** Where a response stream broke off, and how its resumptions fared. */
interface Resumption {
  lastEventId: string
  retry: number | undefined
  /** How many resumptions in a row brought nothing. */
  failures: number
  backoff: Backoff
}

/** Sends a ping of the transport itself, and calls back when it ends. Returns the end of waiting. */
export const pingExchange = (options: {
  readonly owner: RequestOwner & { readonly onServerMessage: (message: JSONRPCMessage) => void }
  readonly message: JSONRPCRequest
  readonly onEnd: (ping: Ping) => void
}): () => void => {
  const { message, onEnd, owner } = options
  const exchange = new RequestExchange({
    owner: {
      wire: owner.wire,
      endpoint: owner.endpoint,
      headersOf: (message) => owner.headersOf(message),
      onHead: () => {},
      onMessage: ({ isAnswered }, message) => isAnswered ? onEnd({ _tag: "Answered" }) : owner.onServerMessage(message),
      onSkipped: (text) => owner.onSkipped(text),
      onChunk: (bytes, source) => owner.onChunk(bytes, source),
      onEnd: (_, failure) =>
        onEnd(
          failure?._tag === "Refused" ? { _tag: "Refused", id: message.id, refusal: failure } : { _tag: "Unanswered" }
        )
    },
    message,
    text: encode(message),
    request: undefined
  })
  exchange.post()
  return () => exchange.abort()
}
