/**
 * One HTTP request that may be answered by JSON or by an event stream, on undici's lowest level.
 *
 * What `fetch` would add (web streams, a response object, promises at every step) costs more than a call to a fast server.
 */
import { MessageTooLarge } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import type { Buffer } from "node:buffer"
import { StringDecoder } from "node:string_decoder"
import type { Dispatcher } from "undici"
import { isMessage } from "../jsonRpc/codec.ts"
import type { Source } from "../jsonRpc/orderedInbox.ts"
import { type SseEvent, SseParser } from "./sseParser.ts"

/** A response with a status other than success. */
export interface Refusal {
  readonly _tag: "Refused"
  readonly status: number
  readonly retryAfter: string | undefined
  readonly location: string | undefined
  /** The beginning of the body. */
  readonly body: string
}

/** How an exchange ended. */
export type End =
  | Refusal
  /** The body has ended. An event stream can be resumed after `lastEventId`. */
  | {
    readonly _tag: "Complete"
    readonly status: number
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }
  /** A body that is neither JSON-RPC nor an event stream. */
  | { readonly _tag: "Unreadable"; readonly cause: unknown }
  /** The network failed. An event stream that had begun can be resumed after `lastEventId`. */
  | {
    readonly _tag: "Broken"
    readonly error: unknown
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }

/** What one server is asked over: its connections and its limit. */
export interface Wire {
  /** Connections for requests that end. Their number is limited. */
  readonly dispatcher: Dispatcher
  /** Connections for streams that stay open: as many as this process opens. A stream must not take the place of a request. */
  readonly streams: Dispatcher
  /** The largest JSON body and the largest event, in characters: no more than that many bytes would allow. */
  readonly maxBytes: number
}

/** The address of an endpoint, as undici wants it. */
export interface Target {
  readonly url: URL
  readonly origin: string
  readonly path: string
}

export const targetOf = (url: URL): Target => ({ url, origin: url.origin, path: url.pathname + url.search })

export interface ExchangeRequest {
  readonly target: Target
  readonly method: "DELETE" | "GET" | "POST"
  /** Names and values in turn. */
  readonly headers: Array<string>
  readonly body: string | null
  /** Whether the response is a stream that stays open. */
  readonly isStream?: boolean
}

/** Receives what happens to an exchange. */
export interface ExchangeListener {
  /** Called when the first byte is about to be written to a connection that is open. */
  readonly onStart?: () => void
  /** Receives the status and a reader of headers, names in lower case. */
  readonly onHead?: (status: number, headerOf: (name: string) => string | undefined) => void
  /** Called when an event stream begins. */
  readonly onOpen?: () => void
  readonly onMessage: (message: JSONRPCMessage) => void
  /** Receives events of other types than `message`. */
  readonly onEvent?: (event: SseEvent) => void
  /** Receives the text of an event that holds no JSON-RPC message. The stream goes on. */
  readonly onSkipped?: (text: string) => void
  /** Called after each chunk of an event stream, which it may pause. */
  readonly onChunk?: (bytes: number, source: Source) => void
  /** Called once unless the exchange is aborted, and never before `start` returns. */
  readonly onEnd: (end: End) => void
}

/** How much of a body is read that explains a refusal, in characters. */
const explanationLimit = 16 * 1024

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #wire: Wire
  readonly #listener: ExchangeListener
  #controller: Dispatcher.DispatchController | undefined
  #isStarted = false
  #isAborted = false
  #isOver = false
  #isRead = false
  #status = 0
  #retryAfter: string | undefined
  #location: string | undefined
  #kind: "json" | "sse" | "text" = "text"
  #decoder: StringDecoder | undefined
  #text = ""
  #sse: SseParser | undefined

  constructor(wire: Wire, listener: ExchangeListener) {
    this.#wire = wire
    this.#listener = listener
  }

  /** Sends the request. */
  start({ body, headers, isStream, method, target }: ExchangeRequest): this {
    const { dispatcher, streams } = this.#wire
    ;(isStream === true ? streams : dispatcher).dispatch({
      origin: target.origin,
      path: target.path,
      method,
      headers,
      body
    }, this)
    this.#isStarted = true
    return this
  }

  /** Ends the exchange without another word to the listener. */
  abort(): void {
    this.#isOver = true
    this.#isAborted = true
    this.#stop()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) this.#stop()
    else this.#listener.onStart?.()
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | Array<string> | undefined>
  ): void {
    const headerOf = (name: string): string | undefined => {
      const value = headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    this.#status = status
    if (this.#isRefusal) {
      this.#retryAfter = headerOf("retry-after")
      this.#location = headerOf("location")
    }
    const type = headerOf("content-type")
    // Most servers write the type as it is here, and each other step would cost a string.
    const essence = type === "application/json" ? type : type?.split(";", 1)[0]?.trim().toLowerCase()
    this.#kind = essence === "text/event-stream" ? "sse" : essence === "application/json" ? "json" : "text"
    if (this.#isOver) return
    this.#listener.onHead?.(status, headerOf)
    if (this.#kind === "sse" && !this.#isRefusal) this.#listener.onOpen?.()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    const part = (this.#decoder ??= new StringDecoder("utf8")).write(chunk)
    if (this.#kind === "sse" && !this.#isRefusal) {
      if (this.#parser.push(part)) this.#listener.onChunk?.(chunk.length, controller)
      else this.#exceed()
      return
    }
    this.#text += part
    const { length } = this.#text
    if (this.#isRefusal) {
      if (length > explanationLimit) this.#refuse()
    } else if (this.#kind === "json") {
      if (length > this.#wire.maxBytes) this.#exceed()
    } else if (length > explanationLimit) this.#end({ _tag: "Unreadable", cause: undefined })
  }

  onResponseEnd(): void {
    this.#isRead = true
    if (this.#isOver) return
    if (this.#isRefusal) return this.#refuse()
    if (this.#kind === "json") {
      if (!this.#readBody(this.#text + (this.#decoder?.end() ?? ""))) return
    } else if (this.#kind === "text" && this.#status !== 202) return this.#end({ _tag: "Unreadable", cause: undefined })
    this.#end({ _tag: "Complete", status: this.#status, lastEventId: this.#sse?.lastEventId, retry: this.#sse?.retry })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#isRead = true
    if (this.#status !== 0 && this.#isRefusal) return this.#refuse()
    this.#end({ _tag: "Broken", error, lastEventId: this.#sse?.lastEventId, retry: this.#sse?.retry })
  }

  get #isRefusal(): boolean {
    return this.#status < 200 || this.#status >= 300
  }

  get #parser(): SseParser {
    return this.#sse ??= new SseParser({
      maxSize: this.#wire.maxBytes,
      onEvent: (event) => {
        if (this.#isOver) return
        if (event.event === "message") this.#readEvent(event.data)
        else this.#listener.onEvent?.(event)
      }
    })
  }

  /** Reads the JSON body. `false`: it holds no message, which ends the exchange. */
  #readBody(json: string): boolean {
    let value: unknown
    try {
      value = JSON.parse(json)
    } catch (cause) {
      this.#end({ _tag: "Unreadable", cause })
      return false
    }
    if (this.#deliver(value, json)) return true
    this.#end({ _tag: "Unreadable", cause: undefined })
    return false
  }

  /** Reads an event. A stream that works is not ended for an event of somebody else. */
  #readEvent(data: string): void {
    if (!this.#deliver(parsed(data), data)) this.#listener.onSkipped?.(data)
  }

  /** Delivers a message, or the messages of a batch. `false`: there are none. */
  #deliver(value: unknown, text: string): boolean {
    if (isMessage(value)) {
      this.#listener.onMessage(value)
      return true
    }
    if (!Array.isArray(value)) return false
    const messages = value.filter(isMessage)
    for (const message of messages) this.#listener.onMessage(message)
    if (messages.length > 0 && messages.length < value.length) this.#listener.onSkipped?.(text)
    return messages.length > 0
  }

  #exceed(): void {
    const error = new MessageTooLarge({ limit: this.#wire.maxBytes, delivery: "Unknown" })
    this.#end({ _tag: "Broken", error, lastEventId: undefined, retry: undefined })
  }

  #refuse(): void {
    this.#end({
      _tag: "Refused",
      status: this.#status,
      retryAfter: this.#retryAfter,
      location: this.#location,
      body: this.#text
    })
  }

  #end(end: End): void {
    if (this.#isOver) return
    this.#isOver = true
    // undici reports what cannot be dispatched at all before `dispatch` returns.
    if (this.#isStarted) this.#listener.onEnd(end)
    else {queueMicrotask(() => {
        if (!this.#isAborted) this.#listener.onEnd(end)
      })}
    this.#stop()
  }

  #stop(): void {
    if (!this.#isRead) this.#controller?.abort(new Error("the exchange is over"))
  }
}
