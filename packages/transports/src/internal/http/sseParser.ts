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

export class SseParser {
  /** The id of the last event, with or without data. */
  lastEventId: string | undefined
  /** The time before a reconnect that the server asks for, in milliseconds. */
  retry: number | undefined

  readonly #onEvent: (event: SseEvent) => void
  readonly #maxSize: number
  /** Pieces of a line whose end has not arrived. They are joined once: joining at each chunk would take quadratic time. */
  #pieces: Array<string> = []
  #pending = 0
  #isFirst = true
  #afterReturn = false
  #event = ""
  #data: Array<string> = []
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
      const line = this.#pieces.join("") + chunk.slice(start, end)
      this.#pieces = []
      this.#pending = 0
      start = chunk.charCodeAt(end) === 13 && chunk.charCodeAt(end + 1) === 10 ? end + 2 : end + 1
      if (line === "") this.#dispatch()
      else this.#field(line)
      if (this.#size > this.#maxSize) return false
    }
    if (start < chunk.length) {
      this.#pieces.push(chunk.slice(start))
      this.#pending += chunk.length - start
    }
    return this.#pending + this.#size <= this.#maxSize
  }

  #dispatch(): void {
    if (this.#id !== undefined) this.lastEventId = this.#id
    const data = this.#data.join("\n")
    const event = this.#event === "" ? "message" : this.#event
    this.#event = ""
    this.#data = []
    this.#size = 0
    if (data !== "") this.#onEvent({ event, data })
  }

  #field(line: string): void {
    const colon = line.indexOf(":")
    if (colon === 0) return
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    switch (name) {
      case "data":
        this.#data.push(value)
        // A line break is content too.
        this.#size += value.length + 1
        return
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
}
