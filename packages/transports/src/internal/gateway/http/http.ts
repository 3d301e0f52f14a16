/**
 * HTTP as the gateway speaks it, MCP aside: bodies of requests, and answers without a body of JSON-RPC results.
 */
import { isUtf8 } from "node:buffer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { encodeError, gatewayStopping, type RpcError, type RpcId } from "../protocol/rpc.ts"

/** Calls a function when a response closes, or at once if it is closed. Returns what removes the function. */
export const onClosed = (response: ServerResponse, listener: () => void): () => void => {
  if (response.closed) {
    listener()
    return () => {}
  }
  response.once("close", listener)
  return () => void response.off("close", listener)
}

/** When a client may repeat a request that was refused for now, in seconds. */
const retryAfter = "1"

/**
 * Answers with JSON. A response that is an event stream already takes the body as its last event, and one that has ended takes nothing. The
 * statuses 429 and 503 have a `Retry-After`.
 */
export const answerJson = (response: ServerResponse, options: {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}): void => {
  const { body, headers = {}, status } = options
  if (response.writableEnded || response.destroyed) return
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
    `${Buffer.byteLength(body)}`
  ]
  if ((status === 429 || status === 503) && headers["retry-after"] === undefined) fields.push("retry-after", retryAfter)
  for (const name in headers) fields.push(name, headers[name] ?? "")
  response.writeHead(status, fields)
  response.end(body)
}

/** Answers with a status alone. A response that is an event stream already ends. */
export const answerEmpty = (response: ServerResponse, status: number): void => {
  if (response.writableEnded || response.destroyed) return
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

/** Answers a request that failed by itself. A response that has begun is cut off, because its end would be taken for a whole one. */
export const answerFailure = (
  response: ServerResponse,
  error: RpcError,
  id?: RpcId
): void => {
  if (response.headersSent) response.destroy()
  else refuse(response, { status: error === gatewayStopping ? 503 : 500, error, id })
}

/** Why a body was not read. `gone`: the client gave up, or was too slow, and receives no answer. `limited`: `admit` has refused it. */
export type BodyFault = "large" | "limited" | "malformed" | "gone"

/** Reads the text of a body. `done` is called once. */
export const readBody = (options: {
  readonly request: IncomingMessage
  /** The largest body, in bytes. */
  readonly limit: number
  /** Decides on each chunk before it is kept. Default: all are. */
  readonly admit?: ((bytes: number) => boolean) | undefined
  readonly done: (text: string | undefined, fault: BodyFault | undefined) => void
}): void => {
  const { admit, limit, request } = options
  if (Number(request.headers["content-length"] ?? 0) > limit) return options.done(undefined, "large")
  const chunks: Array<Buffer> = []
  let size = 0
  let isDone = false
  const done = (text: string | undefined, fault: BodyFault | undefined) => {
    if (isDone) return
    isDone = true
    chunks.length = 0
    options.done(text, fault)
  }
  request.on("data", (chunk: Buffer) => {
    // What is left of a body that is refused is thrown away.
    if (isDone) return
    size += chunk.length
    if (size > limit) done(undefined, "large")
    else if (admit?.(chunk.length) === false) done(undefined, "limited")
    else chunks.push(chunk)
  })
  request.once("end", () => {
    const [first] = chunks
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
    if (isUtf8(body)) done(body.toString("utf8"), undefined)
    else done(undefined, "malformed")
  })
  request.once("close", () => done(undefined, "gone"))
  // It is closed, too.
  request.on("error", () => {})
}

/** Whether an `Accept` header names a media type, or everything. */
export const accepts = (accept: string | undefined, type: string): boolean =>
  accept === undefined || accept.includes(type) ||
  accept.split(",").some((one) => {
    const media = one.split(";", 1).join().trim().toLowerCase()
    return media === type || media === "*/*" || media === `${type.split("/", 1).join()}/*`
  })
