/**
 * Keeps the stream open on which a server of the legacy era sends messages of its own over Streamable HTTP.
 *
 * The stream is opened again and again, at growing intervals, and resumed after its last event where the server offers that. Where it
 * does not, messages may have been missed meanwhile, and listeners are told so. Of all refusals only 405 is final: it says that the server
 * has no such stream. Any other may come from a proxy, or be a matter of time, and is shown as a warning for as long as it lasts.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
 */
import { parseRetryAfter } from "@mcp-sessions/core/RetryPolicy"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import { clearTimeout, setTimeout } from "node:timers"
import type { Source } from "../jsonRpc/orderedInbox.ts"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { type End, Exchange, type ExchangeListener, isTooLarge, type Wire } from "./httpExchange.ts"
import { Backoff } from "./streamBackoff.ts"

/** The transport that the stream belongs to. */
export interface ServerStreamOwner {
  readonly wire: Wire & {
    /** Reads the time of day, in milliseconds since the epoch. */
    readonly timeOfDay: () => number
  }
  readonly endpoint: HttpEndpoint
  readonly onServerMessage: (message: JSONRPCMessage) => void
  readonly onSkipped: (text: string) => void
  /** Called when the server has sent too large a message on a stream of its own messages. */
  readonly onTooLarge: () => void
  readonly onChunk: (bytes: number, source: Source) => void
}

/** After how many short-lived streams in a row there is a warning. */
const shortLimit = 3

/** How long the handshake waits for the connection of the stream, in milliseconds. */
const askLimit = 1000

/** The status of a server that has no such stream. */
const noStream = 405

/** Statuses that usually pass within seconds. */
const isPassing = (status: number): boolean => status >= 500 || status === 408 || status === 429

/** Attempts that were refused in a row. */
interface Refused {
  /** How the last was refused. */
  readonly how: string
  readonly isPassing: boolean
  readonly count: number
}

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
  /** How the last attempts ended, if they were refused in a row. */
  #refusal: Refused | undefined
  /** Whether the stream could have been open before. */
  #isLate = false
  #isClosed = false
  #gaps = 0
  #onAsked: (() => void) | undefined

  constructor(owner: ServerStreamOwner) {
    this.#owner = owner
  }

  /** How many times messages may have been missed up to now. */
  get gaps(): number {
    return this.#gaps
  }

  /**
   * Calls back with the gaps up to then once the stream is open, or the server has none, or has refused it: if it opens after all, that is
   * a gap. Returns the cancellation.
   */
  whenOpen(then: (gaps: number) => void): () => void {
    if (this.#isSettled || this.#refusal?.isPassing === false) then(this.#gaps)
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
    const refusal = this.#refusal
    if (refusal !== undefined) {
      const times = refusal.count === 1 ? "" : ` ${refusal.count} times in a row`
      return [`refused the stream of its own messages${times} (${refusal.how}); notifications may be missed`]
    }
    const failures = this.#backoff?.failures ?? 0
    return failures < shortLimit
      ? []
      : [`closed the stream of its own messages ${failures} times in a row soon after it had opened`]
  }

  /**
   * Opens the stream, and calls back once the server was asked for it or could not be within a second. What is sent after that does not
   * overtake the stream: many servers send the notifications of a call only to a stream that was there before it.
   */
  begin(onAsked: () => void): void {
    if (this.#isClosed) return onAsked()
    this.#onAsked = onAsked
    this.#timer = setTimeout(() => this.#asked(), askLimit)
    this.#open()
  }

  #asked(): void {
    const onAsked = this.#onAsked
    if (onAsked !== undefined) clearTimeout(this.#timer)
    this.#onAsked = undefined
    onAsked?.()
  }

  #open(): void {
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
    this.#asked()
    clearTimeout(this.#timer)
  }

  onStart(): void {
    this.#asked()
  }

  onOpen(): void {
    this.#refusal = undefined
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
    this.#asked()
    if (this.#isClosed) return
    if (end._tag === "Complete" || end._tag === "Broken") {
      if (end._tag === "Broken" && isTooLarge(end.error)) this.#owner.onTooLarge()
      this.#lastEventId = end.lastEventId ?? this.#lastEventId
      if (this.#lastEventId === undefined && this.#isSettled) this.#miss()
      return this.#openLater(end.retry)
    }
    const status = end._tag === "Refused" ? end.status : undefined
    const willPass = status !== undefined && isPassing(status)
    if (this.#lastEventId !== undefined && !willPass) {
      // The server may object to the event id, and not to the stream.
      this.#lastEventId = undefined
      this.#miss()
    } else if (status === noStream) return this.#settle()
    this.#refusal = {
      how: status === undefined ? "not an event stream" : `HTTP ${status}`,
      isPassing: willPass,
      count: (this.#refusal?.count ?? 0) + 1
    }
    this.#openLater(end._tag === "Refused" ? this.#retryAfter(end.retryAfter) : undefined)
    if (!willPass) this.#release()
  }

  #retryAfter(text: string | undefined): number | undefined {
    return text === undefined
      ? undefined
      : Duration.toMillis(parseRetryAfter({ text, now: this.#owner.wire.timeOfDay() }))
  }

  #openLater(retry: number | undefined): void {
    if (!this.#isSettled) this.#isLate = true
    this.#timer = setTimeout(() => this.#open(), (this.#backoff ??= new Backoff()).next(performance.now(), retry))
  }

  #settle(): void {
    this.#isSettled = true
    // Listeners that have stopped waiting have missed what was sent until now.
    if (this.#isLate) this.#countGap()
    this.#isLate = false
    this.#release()
  }

  /** Lets listeners go on that wait for the stream. */
  #release(): void {
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
