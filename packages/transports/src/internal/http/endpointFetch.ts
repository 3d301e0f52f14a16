/**
 * A `fetch` over `undici.request` for one MCP endpoint: what the SDK's transport uses of `Response`, and no more.
 *
 * The platform's `fetch` costs more than twice the time of a whole call. This one is for the endpoint alone; discovery and
 * sign-in need the real thing. Redirects are not followed here, the SDK decides about them. No compression is asked for.
 */
import { InvalidResult, MessageTooLarge } from "@mcp-sessions/core/SessionError"
import type { FetchLike } from "@modelcontextprotocol/client"
import type { Buffer } from "node:buffer"
import { STATUS_CODES } from "node:http"
import { ReadableStream } from "node:stream/web"
import { type Dispatcher, request } from "undici"

/** The bytes of a body, refused as soon as one message of it exceeds the limit. */
const streamOf = (body: Dispatcher.ResponseData["body"], limit: number): ReadableStream<Uint8Array> => {
  let sinceEvent = 0
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      body.on("data", (chunk: Buffer) => {
        // A blank line ends an SSE event. Cut through by a chunk it is missed, and the limit a little early.
        const blank = Math.max(chunk.lastIndexOf("\n\n"), chunk.lastIndexOf("\r\n\r\n"))
        sinceEvent = blank === -1 ? sinceEvent + chunk.length : chunk.length - blank
        if (sinceEvent > limit) body.destroy(new MessageTooLarge({ limit, delivery: "Unknown" }))
        else {
          controller.enqueue(chunk)
          if ((controller.desiredSize ?? 0) <= 0) body.pause()
        }
      })
      body.on("end", () => controller.close())
      body.on("error", (error) => controller.error(error))
    },
    pull: () => {
      body.resume()
    },
    cancel: () => {
      body.on("error", () => {})
      body.destroy()
    }
  })
}

const textOf = async (body: Dispatcher.ResponseData["body"], limit: number): Promise<string> => {
  const chunks: Array<string> = []
  let size = 0
  body.setEncoding("utf8")
  for await (const chunk of body) {
    size += (chunk as string).length
    if (size > limit) throw new MessageTooLarge({ limit, delivery: "Unknown" })
    chunks.push(chunk as string)
  }
  return chunks.join("")
}

const isSuccess = ({ statusCode }: Pick<Dispatcher.ResponseData, "statusCode">): boolean =>
  statusCode >= 200 && statusCode < 300

const isEventStream = ({ headers }: Pick<Dispatcher.ResponseData, "headers">): boolean =>
  /^text\/event-stream\s*(?:;|$)/i.test(String(headers["content-type"]))

/** What the SDK reads of a response. */
class EndpointResponse {
  readonly status: number
  readonly type = "basic"
  readonly url: string
  readonly headers: { readonly get: (name: string) => string | null; readonly has: (name: string) => boolean }
  readonly #body: Dispatcher.ResponseData["body"]
  readonly #limit: number
  #stream: ReadableStream<Uint8Array> | undefined

  constructor(url: string, response: Dispatcher.ResponseData, limit: number) {
    const { headers } = response
    const get = (name: string): string | null => {
      const value = headers[name.toLowerCase()]
      return value === undefined ? null : Array.isArray(value) ? value.join(", ") : value
    }
    this.status = response.statusCode
    this.url = url
    this.headers = { get, has: (name) => get(name) !== null }
    this.#body = response.body
    this.#limit = limit
  }

  get ok(): boolean {
    return isSuccess({ statusCode: this.status })
  }

  get statusText(): string {
    return STATUS_CODES[this.status] ?? ""
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#stream ??= streamOf(this.#body, this.#limit)
  }

  text(): Promise<string> {
    return textOf(this.#body, this.#limit)
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }
}

/** Makes the `fetch` of one endpoint. `onResponse` sees the status and headers of every response. */
export const make = (options: {
  readonly dispatcher: Dispatcher
  /** The largest JSON body and the largest SSE event, in bytes. */
  readonly maxBytes: number
  readonly onResponse: (response: Pick<Dispatcher.ResponseData, "headers" | "statusCode">) => void
}): FetchLike =>
async (url, init) => {
  const response = await request(url, {
    method: (init?.method ?? "GET") as Dispatcher.HttpMethod,
    headers: Object.fromEntries(init?.headers as Headers),
    body: (init?.body ?? null) as string | null,
    signal: init?.signal ?? null,
    dispatcher: options.dispatcher
  })
  options.onResponse(response)
  // The SDK would read whatever it is as an event stream, and ask for it again once it has ended.
  if (init?.method === "GET" && isSuccess(response) && !isEventStream(response)) {
    response.body.on("error", () => {}).destroy()
    throw new InvalidResult({ method: "GET", description: "what the server has to say by itself is no event stream" })
  }
  return new EndpointResponse(String(url), response, options.maxBytes) as unknown as Response
}
