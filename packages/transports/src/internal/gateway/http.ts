/**
 * HTTP as the gateway speaks it, MCP aside: bodies of requests, and answers without a body of JSON-RPC results.
 */
import { isUtf8 } from "node:buffer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { encodeError, type RpcError, type RpcId } from "./rpc.ts"

/** Calls a function once when a response has closed: at once if it has closed before. Returns what removes the function. */
export const onClosed = (response: ServerResponse, listener: () => void): () => void => {
  if (response.closed) {
    listener()
    return () => {}
  }
  response.once("close", listener)
  return () => void response.off("close", listener)
}

/** Answers with JSON. A response that is an event stream already takes the body as its last event. */
export const answerJson = (response: ServerResponse, options: {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}): void => {
  const { body, headers, status } = options
  if (response.headersSent) {
    response.end(`event: message\ndata: ${body}\n\n`)
    return
  }
  // Names and values in turn, which Node writes as they are.
  const fields = [
    "content-type",
    "application/json",
    "x-content-type-options",
    "nosniff",
    "content-length",
    String(Buffer.byteLength(body))
  ]
  for (const name in headers) fields.push(name, headers[name] ?? "")
  response.writeHead(status, fields)
  response.end(body)
}

/** Answers with a status alone. A response that is an event stream already ends. */
export const answerEmpty = (response: ServerResponse, status: number): void => {
  if (!response.headersSent) response.writeHead(status)
  response.end()
}

/** Answers with a JSON-RPC error. */
export const refuse = (response: ServerResponse, options: {
  readonly status: number
  readonly error: RpcError
  readonly id?: RpcId | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}): void => {
  const { error, headers, id, status } = options
  answerJson(response, { status, headers, body: encodeError(id ?? null, error) })
}

/** Why a body was not read. */
export type BodyFault = "large" | "malformed"

/** Reads the text of a body. `done` is called once, unless the client gives up before. */
export const readBody = (options: {
  readonly request: IncomingMessage
  /** The largest body, in bytes. */
  readonly limit: number
  readonly done: (text: string | undefined, fault: BodyFault | undefined) => void
}): void => {
  const { done, limit, request } = options
  if (Number(request.headers["content-length"] ?? 0) > limit) return done(undefined, "large")
  const chunks: Array<Buffer> = []
  let size = 0
  request.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > limit) {
      request.removeAllListeners("data").removeAllListeners("end").resume()
      done(undefined, "large")
    } else chunks.push(chunk)
  })
  request.on("end", () => {
    const [first] = chunks
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
    if (isUtf8(body)) done(body.toString("utf8"), undefined)
    else done(undefined, "malformed")
  })
  // A client that gave up receives no answer.
  request.on("error", () => {})
}

/** Whether an `Accept` header names a media type, or everything. */
export const accepts = (accept: string | undefined, type: string): boolean =>
  accept === undefined || accept.includes(type) ||
  accept.split(",").some((one) => {
    const media = one.split(";", 1).join().trim().toLowerCase()
    return media === type || media === "*/*" || media === `${type.split("/", 1).join()}/*`
  })
