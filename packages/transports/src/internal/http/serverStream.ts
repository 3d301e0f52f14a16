/**
 * The stream of what a server of the legacy era says of its own accord over Streamable HTTP, kept open for as long as the
 * session.
 *
 * The SDK gives it up for good after a few failures, and says nothing of what was missed. Here it is opened again and again, at
 * growing intervals, and taken up after its last event where the server offers that. Where it does not, what it said meanwhile
 * is missed, and those who listen are told so.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import { Backoff } from "../backoff.ts"
import { type End, exchange, type ExchangeOptions } from "./httpExchange.ts"

export interface ServerStreamOptions {
  readonly exchange: Pick<ExchangeOptions, "dispatcher" | "maxBytes">
  /** Where the endpoint is and what it is to be sent, at the moment of each request. */
  readonly place: () => { readonly url: URL; readonly headers: Record<string, string> }
  readonly onMessage: (message: JSONRPCMessage) => void
}

/** After how many streams in a row that did not last users are told. */
const short = 3

/** What will not be otherwise at the next try: there is no such stream. */
const isFinal = (status: number): boolean => status >= 400 && status < 500 && status !== 408 && status !== 429

export class ServerStream {
  readonly #options: ServerStreamOptions
  readonly #backoff = new Backoff()
  readonly #waiting = new Set<(gaps: number) => void>()
  readonly #listeners = new Set<() => void>()
  #lastEventId: string | undefined
  #leave: (() => void) | undefined
  #isSettled = false
  /** Whether it could have been open before. */
  #isLate = false
  #isClosed = false
  #gaps = 0

  constructor(options: ServerStreamOptions) {
    this.#options = options
  }

  /** How often something may have been missed up to now. */
  get gaps(): number {
    return this.#gaps
  }

  /** Calls back with the gaps up to then once the stream is open, or there is none. Gives what leaves off waiting for that. */
  whenOpen(then: (gaps: number) => void): () => void {
    if (this.#isSettled) then(this.#gaps)
    else this.#waiting.add(then)
    return () => this.#waiting.delete(then)
  }

  /** Calls back once there have been more gaps than that. Gives what leaves off waiting for that. */
  whenMissed(gaps: number, then: () => void): () => void {
    if (this.#gaps > gaps) then()
    else this.#listeners.add(then)
    return () => this.#listeners.delete(then)
  }

  warnings(): ReadonlyArray<string> {
    const { failures } = this.#backoff
    return failures < short
      ? []
      : [`it has closed the stream of its own messages ${failures} times without keeping it open for long`]
  }

  open(): void {
    if (this.#isClosed) return
    const { url, headers } = this.#options.place()
    this.#leave = exchange({
      ...this.#options.exchange,
      url,
      method: "GET",
      headers: {
        ...headers,
        accept: "text/event-stream",
        ...(this.#lastEventId === undefined ? {} : { "last-event-id": this.#lastEventId })
      },
      body: null,
      onOpen: () => this.#settle(),
      onMessage: this.#options.onMessage,
      onEnd: (end) => this.#ended(end)
    }).abort
  }

  close(): void {
    this.#isClosed = true
    this.#leave?.()
  }

  #ended(end: End): void {
    this.#leave = undefined
    if (this.#isClosed) return
    const canResume = this.#lastEventId !== undefined
    if (end._tag === "Complete" || end._tag === "Broken") {
      this.#lastEventId = end.lastEventId ?? this.#lastEventId
      if (this.#lastEventId === undefined && this.#isSettled) this.#miss()
      return this.#openLater(end.retry)
    }
    if (end._tag === "Unreadable" || isFinal(end.status)) {
      // It may be the place that it objects to, and not the stream.
      if (!canResume) return this.#settle()
      this.#lastEventId = undefined
      this.#miss()
    }
    this.#openLater(undefined)
  }

  #openLater(wish: number | undefined): void {
    if (!this.#isSettled) this.#isLate = true
    const timer = setTimeout(() => this.open(), this.#backoff.next(performance.now(), wish))
    this.#leave = () => clearTimeout(timer)
  }

  #settle(): void {
    this.#isSettled = true
    // Those who have left off waiting have missed what was said until now.
    if (this.#isLate) this.#tell()
    this.#isLate = false
    for (const then of this.#waiting) then(this.#gaps)
    this.#waiting.clear()
  }

  /** What is said until it is open again is missed, so it counts as open no longer. */
  #miss(): void {
    this.#isSettled = false
    this.#tell()
  }

  #tell(): void {
    this.#gaps++
    for (const then of this.#listeners) then()
    this.#listeners.clear()
  }
}
