/**
 * Keeps the stream open on which a server of the legacy era sends messages of its own over Streamable HTTP.
 *
 * The stream is opened again and again, at growing intervals, and resumed after its last event where the server offers that. Where it
 * does not, messages may have been missed meanwhile, and listeners are told so.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import type { Source } from "../jsonRpc/orderedInbox.ts"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { type End, Exchange, type ExchangeListener, type Wire } from "./httpExchange.ts"
import { Backoff } from "./streamBackoff.ts"

/** The transport that the stream belongs to. */
export interface ServerStreamOwner {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
  readonly onServerMessage: (message: JSONRPCMessage) => void
  readonly onSkipped: (text: string) => void
  readonly onChunk: (bytes: number, source: Source) => void
}

/** After how many short-lived streams in a row there is a warning. */
const shortLimit = 3

/** Statuses that the next request would get too: the server has no such stream. */
const isFinal = (status: number): boolean => status >= 400 && status < 500 && status !== 408 && status !== 429

export class ServerStream implements ExchangeListener {
  readonly #owner: ServerStreamOwner
  #backoff: Backoff | undefined
  #waiting: Set<(gaps: number) => void> | undefined
  #listeners: Set<() => void> | undefined
  #lastEventId: string | undefined
  #exchange: Exchange | undefined
  #timer: NodeJS.Timeout | undefined
  /** Whether the stream is open, or the server has none. */
  #isSettled = false
  /** Whether the stream could have been open before. */
  #isLate = false
  #isClosed = false
  #gaps = 0

  constructor(owner: ServerStreamOwner) {
    this.#owner = owner
  }

  /** How many times messages may have been missed up to now. */
  get gaps(): number {
    return this.#gaps
  }

  /** Calls back with the gaps up to then once the stream is open, or the server has none. Returns the cancellation. */
  whenOpen(then: (gaps: number) => void): () => void {
    if (this.#isSettled) then(this.#gaps)
    else (this.#waiting ??= new Set()).add(then)
    return () => this.#waiting?.delete(then)
  }

  /** Calls back once there have been more gaps than `gaps`. Returns the cancellation. */
  whenMissed(gaps: number, then: () => void): () => void {
    if (this.#gaps > gaps) then()
    else (this.#listeners ??= new Set()).add(then)
    return () => this.#listeners?.delete(then)
  }

  warnings(): ReadonlyArray<string> {
    const failures = this.#backoff?.failures ?? 0
    return failures < shortLimit
      ? []
      : [`closed the stream of its own messages ${failures} times in a row soon after it had opened`]
  }

  open(): void {
    if (this.#isClosed) return
    const { endpoint, wire } = this.#owner
    const resume = this.#lastEventId === undefined ? [] : ["last-event-id", this.#lastEventId]
    const headers = endpoint.bareHeaders("accept", "text/event-stream", ...resume)
    const exchange = this.#exchange = new Exchange(wire, this)
    exchange.start({ target: endpoint.target, method: "GET", headers, body: null, isStream: true })
  }

  close(): void {
    this.#isClosed = true
    this.#exchange?.abort()
    clearTimeout(this.#timer)
  }

  onOpen(): void {
    this.#settle()
  }

  onMessage(message: JSONRPCMessage): void {
    this.#owner.onServerMessage(message)
  }

  onSkipped(text: string): void {
    this.#owner.onSkipped(text)
  }

  onChunk(bytes: number, source: Source): void {
    this.#owner.onChunk(bytes, source)
  }

  onEnd(end: End): void {
    this.#exchange = undefined
    if (this.#isClosed) return
    const isResumable = this.#lastEventId !== undefined
    if (end._tag === "Complete" || end._tag === "Broken") {
      this.#lastEventId = end.lastEventId ?? this.#lastEventId
      if (this.#lastEventId === undefined && this.#isSettled) this.#miss()
      return this.#openLater(end.retry)
    }
    if (end._tag === "Unreadable" || isFinal(end.status)) {
      // The server may object to the event id, and not to the stream.
      if (!isResumable) return this.#settle()
      this.#lastEventId = undefined
      this.#miss()
    }
    this.#openLater(undefined)
  }

  #openLater(retry: number | undefined): void {
    if (!this.#isSettled) this.#isLate = true
    this.#timer = setTimeout(() => this.open(), (this.#backoff ??= new Backoff()).next(performance.now(), retry))
  }

  #settle(): void {
    this.#isSettled = true
    // Listeners that have stopped waiting have missed what was sent until now.
    if (this.#isLate) this.#countGap()
    this.#isLate = false
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) { for (const then of waiting) then(this.#gaps) }
  }

  /** Messages are missed until the stream is open again. */
  #miss(): void {
    this.#isSettled = false
    this.#countGap()
  }

  #countGap(): void {
    this.#gaps++
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners !== undefined) { for (const then of listeners) then() }
  }
}
