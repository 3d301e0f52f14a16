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
import { SseParser } from "./sseParser.ts"

/** How an exchange ended. */
export type End =
  /** The body is over. If it was an event stream, it can be taken up after `lastEventId`. */
  | {
    readonly _tag: "Complete"
    readonly status: number
    readonly lastEventId: string | undefined
    readonly retry: number | undefined
  }
  /** The server answered with another status than success. */
  | { readonly _tag: "Refused"; readonly status: number; readonly retryAfter: string | undefined }
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
  readonly onMessage: (message: JSONRPCMessage) => void
  readonly onEnd: (end: End) => void
}

const headerOf = (headers: Record<string, string | Array<string> | undefined>, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Starts an exchange. `onEnd` is called once, whatever happens, unless the exchange is aborted. Gives its abortion. */
export const exchange = (options: ExchangeOptions): { readonly abort: () => void } => {
  const { maxBytes, onEnd, onMessage } = options
  const decoder = new StringDecoder("utf8")
  let controller: Dispatcher.DispatchController | undefined
  let aborted = false
  let ended = false
  let status = 0
  let kind: "json" | "sse" | "other" = "other"
  let json = ""

  const end = (how: End): void => {
    if (ended || aborted) return
    ended = true
    onEnd(how)
  }
  const stop = (): void => controller?.abort(new Error("exchange over"))
  const read = (text: string): void => {
    try {
      const value: unknown = JSON.parse(text)
      for (const message of Array.isArray(value) ? value : [value]) onMessage(message as JSONRPCMessage)
    } catch (cause) {
      end({ _tag: "Unreadable", cause })
      stop()
    }
  }
  const sse = new SseParser({
    maxSize: maxBytes,
    onEvent: ({ data, event }) => {
      if (event === "message" && !aborted && !ended) read(data)
    }
  })
  const place = () => ({ lastEventId: sse.lastEventId, retry: sse.retry })

  options.dispatcher.dispatch({
    origin: options.url.origin,
    path: options.url.pathname + options.url.search,
    method: options.method,
    headers: options.headers,
    body: options.body
  }, {
    onRequestStart: (started) => {
      controller = started
      if (aborted) stop()
    },
    onResponseStart: (_, statusCode, headers) => {
      status = statusCode
      if (status >= 300) return end({ _tag: "Refused", status, retryAfter: headerOf(headers, "retry-after") })
      const type = headerOf(headers, "content-type")?.split(";", 1)[0]?.trim().toLowerCase()
      kind = type === "text/event-stream" ? "sse" : type === "application/json" ? "json" : "other"
    },
    onResponseData: (_, chunk: Buffer) => {
      if (ended || aborted) return
      const text = decoder.write(chunk)
      if (kind === "json") json += text
      if (kind === "sse" ? !sse.push(text) : json.length > maxBytes) {
        const error = new MessageTooLarge({ limit: maxBytes, delivery: "Unknown" })
        end({ _tag: "Broken", error, lastEventId: undefined, retry: undefined })
        stop()
      }
    },
    onResponseEnd: () => {
      if (kind === "json") read(json + decoder.end())
      else if (kind === "other" && status !== 202) {
        return end({ _tag: "Unreadable", cause: undefined })
      }
      end({ _tag: "Complete", status, ...place() })
    },
    onResponseError: (_, error) => end({ _tag: "Broken", error, ...place() })
  })

  return {
    abort: () => {
      aborted = true
      if (!ended) stop()
    }
  }
}
