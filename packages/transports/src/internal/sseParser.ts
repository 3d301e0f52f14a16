/**
 * Reads a stream of server-sent events.
 *
 * Unlike the parsers at hand it reports the id of an event without data: MCP servers begin a resumable stream with one, and
 * a stream that breaks right after it can be resumed only by that id.
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
  /** The server's wish for the time before reconnecting, in milliseconds. */
  retry: number | undefined

  readonly #onEvent: (event: SseEvent) => void
  readonly #maxSize: number
  #rest = ""
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

  /** Takes a chunk. `false` says that an event is larger than allowed, after which the parser is spent. */
  push(chunk: string): boolean {
    if (chunk === "") return true
    let text = this.#rest + chunk
    if (this.#isFirst) {
      this.#isFirst = false
      if (text.startsWith("\uFEFF")) text = text.slice(1)
    }
    let start = 0
    // A CR at the end of the last chunk has ended its line; the LF of the pair is still to come.
    if (this.#afterReturn && this.#rest === "") {
      if (text.startsWith("\n")) start = 1
    }
    this.#afterReturn = text.endsWith("\r")
    for (;;) {
      let end = start
      while (end < text.length && text.charCodeAt(end) !== 10 && text.charCodeAt(end) !== 13) end++
      if (end === text.length) break
      const line = text.slice(start, end)
      start = text.charCodeAt(end) === 13 && text.charCodeAt(end + 1) === 10 ? end + 2 : end + 1
      if (line === "") this.#dispatch()
      else this.#field(line)
      if (this.#size > this.#maxSize) return false
    }
    this.#rest = text.slice(start)
    return this.#rest.length + this.#size <= this.#maxSize
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
        this.#size += value.length
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
