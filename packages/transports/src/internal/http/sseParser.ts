/**
 * Parses a stream of server-sent events.
 *
 * Unlike published parsers it reports the id of an event without data: MCP servers begin a resumable stream with one, and a stream
 * that breaks right after it can be resumed only by that id.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */

export interface SseEvent {
  readonly event: string
  readonly data: string
}

/** How many pieces are joined at a time. */
const blockSize = 1024

/** Joins pieces of text. Joining at each piece would take quadratic time, and a list of all pieces many times the memory of the text. */
class Pieces {
  #blocks: Array<string> = []
  #last: Array<string> = []

  get isEmpty(): boolean {
    return this.#last.length === 0 && this.#blocks.length === 0
  }

  push(piece: string): void {
    if (this.#last.push(piece) < blockSize) return
    this.#blocks.push(this.#last.join(""))
    this.#last = []
  }

  /** Returns the text, and begins anew. */
  take(): string {
    if (this.#blocks.length === 0 && this.#last.length <= 1) return this.#last.pop() ?? ""
    const text = this.#blocks.join("") + this.#last.join("")
    this.#blocks = []
    this.#last = []
    return text
  }
}

export class SseParser {
  /** The id of the last event, with or without data. */
  lastEventId: string | undefined
  /** The time before a reconnect that the server asks for, in milliseconds. */
  retry: number | undefined

  readonly #onEvent: (event: SseEvent) => void
  readonly #maxSize: number
  /** The line whose end has not arrived. */
  readonly #line = new Pieces()
  #pending = 0
  #isFirst = true
  #afterReturn = false
  #event = ""
  readonly #data = new Pieces()
  #hasData = false
  /** Line breaks of the data that no character follows yet. */
  #breaks = 0
  #id: string | undefined
  #size = 0

  constructor(options: { readonly onEvent: (event: SseEvent) => void; readonly maxSize: number }) {
    this.#onEvent = options.onEvent
    this.#maxSize = options.maxSize
  }

  /** Parses a chunk. `false`: an event exceeds the limit, and the parser must not be used any more. */
  push(chunk: string): boolean {
    if (chunk === "") return true
    let start = 0
    if (this.#isFirst) {
      this.#isFirst = false
      if (chunk.startsWith("\uFEFF")) start = 1
    }
    // A CR at the end of the last chunk ended its line; this is the LF of the pair.
    if (this.#afterReturn && chunk.charCodeAt(start) === 10) start++
    this.#afterReturn = chunk.endsWith("\r")
    for (;;) {
      let end = start
      while (end < chunk.length && chunk.charCodeAt(end) !== 10 && chunk.charCodeAt(end) !== 13) end++
      if (end === chunk.length) break
      const rest = chunk.slice(start, end)
      const line = this.#line.isEmpty ? rest : this.#line.take() + rest
      this.#pending = 0
      start = chunk.charCodeAt(end) === 13 && chunk.charCodeAt(end + 1) === 10 ? end + 2 : end + 1
      if (line === "") this.#dispatch()
      else this.#field(line)
      if (this.#size > this.#maxSize) return false
    }
    if (start < chunk.length) {
      this.#line.push(chunk.slice(start))
      this.#pending += chunk.length - start
    }
    return this.#pending + this.#size <= this.#maxSize
  }

  #dispatch(): void {
    if (this.#id !== undefined) this.lastEventId = this.#id
    if (this.#hasData) this.#breakLines()
    const data = this.#data.take()
    const event = this.#event === "" ? "message" : this.#event
    this.#event = ""
    this.#hasData = false
    this.#size = 0
    if (data !== "") this.#onEvent({ event, data })
  }

  #field(line: string): void {
    const colon = line.indexOf(":")
    if (colon === 0) return
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    if (name === "data") return this.#append(value)
    this.#size += line.length + 1
    switch (name) {
      case "event":
        this.#event = value
        return
      case "id":
        if (!value.includes("\0")) this.#id = value
        return
      case "retry":
        if (/^\d+$/.test(value)) this.retry = Number(value)
    }
  }

  /** Adds a line to the data. A line break is content too, and counts. */
  #append(value: string): void {
    this.#size += value.length + 1
    if (this.#hasData) this.#breaks++
    this.#hasData = true
    if (value === "") return
    this.#breakLines()
    this.#data.push(value)
  }

  #breakLines(): void {
    if (this.#breaks > 0) this.#data.push("\n".repeat(this.#breaks))
    this.#breaks = 0
  }
}
