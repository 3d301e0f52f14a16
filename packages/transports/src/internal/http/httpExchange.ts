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
import { type SseEvent, SseParser } from "./sseParser.ts"

/** How an exchange ended. */
export type End =
  /** The body is over. If it was an event stream, it can be taken up after `lastEventId`. */
  | {
    readonly _tag: "Complete"
    readonly status: number
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }
  /** The server answered with another status than success. `body` is the beginning of what it had to say. */
  | {
    readonly _tag: "Refused"
    readonly status: number
    readonly retryAfter: string | undefined
    readonly location: string | undefined
    readonly body: string
  }
  /** A body of another type than JSON or an event stream, or JSON that is no message. */
  | { readonly _tag: "Unreadable"; readonly cause: unknown }
  /** The network or the peer broke off. An event stream that had begun can be taken up. */
  | {
    readonly _tag: "Broken"
    readonly error: unknown
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }

export interface ExchangeOptions {
  readonly dispatcher: Dispatcher
  readonly url: URL
  readonly method: "GET" | "POST"
  readonly headers: Record<string, string>
  readonly body: string | null
  /** The largest JSON body and the largest event, in characters: no more than that many bytes would allow. */
  readonly maxBytes: number
  /** Called when an event stream begins. */
  readonly onOpen?: (() => void) | undefined
  readonly onMessage: (message: JSONRPCMessage) => void
  /** Gets the events that carry no message. */
  readonly onEvent?: ((event: SseEvent) => void) | undefined
  readonly onEnd: (end: End) => void
}

/** What is read of a body that explains a refusal, in characters. */
const explanation = 16 * 1024

const headerOf = (headers: Record<string, string | Array<string> | undefined>, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/**
 * Starts an exchange. `onEnd` is called once, whatever happens, unless the exchange is aborted; never before this returns.
 * Gives its abortion.
 */
export const exchange = (options: ExchangeOptions): { readonly abort: () => void } => {
  const { maxBytes, onEnd, onMessage } = options
  const decoder = new StringDecoder("utf8")
  let controller: Dispatcher.DispatchController | undefined
  let isStarted = false
  let isAborted = false
  let isOver = false
  let isRead = false
  let status = 0
  let retryAfter: string | undefined
  let location: string | undefined
  let kind: "json" | "sse" | "text" = "text"
  let text = ""

  const stop = (): void => {
    if (!isRead) controller?.abort(new Error("the exchange is over"))
  }
  const end = (how: End): void => {
    if (isOver) return
    isOver = true
    // What cannot be dispatched at all fails at once, when nobody knows of the exchange yet.
    if (isStarted) onEnd(how)
    else {queueMicrotask(() => {
        if (!isAborted) onEnd(how)
      })}
    stop()
  }
  const read = (json: string): void => {
    let value: unknown
    try {
      value = JSON.parse(json)
    } catch (cause) {
      return end({ _tag: "Unreadable", cause })
    }
    const values: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
    if (!values.every(isMessage)) return end({ _tag: "Unreadable", cause: undefined })
    for (const message of values) onMessage(message as JSONRPCMessage)
  }
  const sse = new SseParser({
    maxSize: maxBytes,
    onEvent: (event) => {
      if (isOver) return
      if (event.event === "message") read(event.data)
      else options.onEvent?.(event)
    }
  })
  const place = () => ({ lastEventId: sse.lastEventId, retry: sse.retry })
  const refuse = () => end({ _tag: "Refused", status, retryAfter, location, body: text })
  const isRefusal = () => status < 200 || status >= 300

  options.dispatcher.dispatch({
    origin: options.url.origin,
    path: options.url.pathname + options.url.search,
    method: options.method,
    headers: options.headers,
    body: options.body
  }, {
    onRequestStart: (started) => {
      controller = started
      if (isOver) stop()
    },
    onResponseStart: (_, statusCode, headers) => {
      status = statusCode
      retryAfter = headerOf(headers, "retry-after")
      location = headerOf(headers, "location")
      const type = headerOf(headers, "content-type")?.split(";", 1)[0]?.trim().toLowerCase()
      kind = type === "text/event-stream" ? "sse" : type === "application/json" ? "json" : "text"
      if (kind === "sse" && !isRefusal() && !isOver) options.onOpen?.()
    },
    onResponseData: (_, chunk: Buffer) => {
      if (isOver) return
      const part = decoder.write(chunk)
      if (isRefusal() || kind === "text") {
        text += part
        if (text.length > explanation) {
          if (isRefusal()) refuse()
          else end({ _tag: "Unreadable", cause: undefined })
        }
        return
      }
      if (kind === "json") text += part
      if (kind === "sse" ? !sse.push(part) : text.length > maxBytes) {
        const error = new MessageTooLarge({ limit: maxBytes, delivery: "Unknown" })
        end({ _tag: "Broken", error, lastEventId: undefined, retry: undefined })
      }
    },
    onResponseEnd: () => {
      isRead = true
      if (isRefusal()) return refuse()
      if (kind === "json") read(text + decoder.end())
      else if (kind === "text" && status !== 202) return end({ _tag: "Unreadable", cause: undefined })
      end({ _tag: "Complete", status, ...place() })
    },
    onResponseError: (_, error) => {
      isRead = true
      if (status !== 0 && isRefusal()) refuse()
      else end({ _tag: "Broken", error, ...place() })
    }
  })

  isStarted = true
  return {
    abort: () => {
      isOver = true
      isAborted = true
      stop()
    }
  }
}
