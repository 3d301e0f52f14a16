/**
 * Reads what a server sends: every channel passes its texts (lines, frames, events, bodies) through {@link readMessages},
 * and the values of a server in memory through {@link messageOf}.
 *
 * **Details**
 *
 * A text holds one message, or a batch of them. All else is skipped and reported to the sink, and never ends a stream that works: proxies
 * send keep-alives, servers print banners.
 *
 * Messages come out in the shape that the specification gives them, however the server wrote them. What a response means is decided here,
 * once for the engine and for the SDK's client:
 *
 * | the server sends                               | the receiver gets                                      |
 * | ---------------------------------------------- | ------------------------------------------------------ |
 * | an id of ours as text, such as `"7"`           | the number                                             |
 * | an error beside a result                       | the error                                              |
 * | `error: null`, or an empty one, and a result   | the result                                             |
 * | an error that is text, or lacks code or message | an error with code 0, and the original as its data     |
 * | an id of ours with neither result nor error    | an error whose data is an `InvalidResult`               |
 * | more levels or values than the bounds allow    | an error whose data is an `InvalidResult`, for each id |
 * | `params` that are not an object                | no params                                              |
 * | a call with `id: null`                         | a notification                                         |
 *
 * @see https://www.jsonrpc.org/specification
 */
import { InvalidResult } from "@mcp-sessions/core/SessionError"
import type { JSONRPCErrorResponse, JSONRPCMessage, RequestId } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { parse } from "../exactNumbers.ts"
import { excessOf, responseIdsOf } from "./jsonBounds.ts"

/** Receives what a text holds. */
export interface MessageSink {
  readonly onMessage: (message: JSONRPCMessage) => void
  /** Receives a text that holds something else than messages. The stream goes on. */
  readonly onSkipped: (text: string) => void
}

const openingBracket = 0x5b
const openingBrace = 0x7b

/** JSON-RPC code of an error within the party that reports it: here, the response itself. */
const internalError = -32_603

/** Reads a text. `false`: it holds no message. */
export const readMessages = (text: string, sink: MessageSink): boolean => {
  const first = text.charCodeAt(0)
  if (first !== openingBrace && first !== openingBracket) return readIndented(text, sink)
  const excess = excessOf(text)
  if (excess !== undefined) return readExcessive(text, excess, sink)
  let value: unknown
  try {
    value = parse(text)
  } catch {
    sink.onSkipped(text)
    return false
  }
  if (first === openingBracket) return readBatch(value as ReadonlyArray<unknown>, text, sink)
  const message = messageOf(value)
  if (message === undefined) sink.onSkipped(text)
  else sink.onMessage(message)
  return message !== undefined
}

/** Reads a text that does not begin with a bracket. Blank text says nothing. */
const readIndented = (text: string, sink: MessageSink): boolean => {
  const trimmed = text.trimStart()
  if (trimmed === "") return false
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) return readMessages(trimmed, sink)
  sink.onSkipped(text)
  return false
}

const readBatch = (values: ReadonlyArray<unknown>, text: string, sink: MessageSink): boolean => {
  let count = 0
  for (const value of values) {
    const message = messageOf(value)
    if (message === undefined) continue
    count++
    sink.onMessage(message)
  }
  if (count < values.length || count === 0) sink.onSkipped(text)
  return count > 0
}

/** Ends the requests that a text responds to. */
const readExcessive = (text: string, excess: string, sink: MessageSink): boolean => {
  let count = 0
  for (const given of responseIdsOf(text)) {
    const id = idOf(given)
    if (id === undefined) continue
    count++
    sink.onMessage(faulty(id, excess))
  }
  if (count === 0) sink.onSkipped(text)
  return count > 0
}

/** Returns the messages that a text holds. */
export const messagesIn = (text: string): ReadonlyArray<JSONRPCMessage> => {
  const messages: Array<JSONRPCMessage> = []
  readMessages(text, { onMessage: (message) => messages.push(message), onSkipped: () => {} })
  return messages
}

/** Reads a value as a JSON-RPC message. Returns `undefined` for any other value, and a valid message unchanged. */
export const messageOf = (value: unknown): JSONRPCMessage | undefined => {
  if (!Predicate.isObject(value) || !("jsonrpc" in value)) return undefined
  const { error, id, jsonrpc, method, params, result } = value as Record<string, unknown>
  const isVersioned = jsonrpc === "2.0"
  // A response may repeat the method of its request.
  if (typeof method === "string" && error === undefined && result === undefined) {
    if (isVersioned && isPlain(params) && (id === undefined ? !("id" in value) : isId(id))) {
      return value as JSONRPCMessage
    }
    const call = { jsonrpc: "2.0" as const, method, ...(Predicate.isObject(params) ? { params } : {}) }
    return id === undefined || id === null ? call : isId(id) ? { ...call, id } : undefined
  }
  if (isVersioned && typeof id === "number" && error === undefined && result !== undefined && method === undefined) {
    return value as JSONRPCMessage
  }
  // What has a method without a name, and does not respond to anything.
  if (method !== undefined && error === undefined && result === undefined) return undefined
  return responseOf({ id, result, error })
}

/** Whether params need no change. */
const isPlain = (params: unknown): boolean => params === undefined || Predicate.isObject(params)

/** Whether an id can be sent back: JSON has no infinity, which is how a number such as 1e400 is read. */
const isId = (id: unknown): id is RequestId => Number.isFinite(id) || typeof id === "string"

/** Returns an id or a token as we gave it: some servers keep them as text. */
export const idOf = (id: unknown): RequestId | undefined =>
  typeof id === "string" && /^\d+(?:\.0+)?$/.test(id) ? Number(id) : isId(id) ? id : undefined

/** Makes a response of the members of one. An error need have no id: the server could not read that of the request. */
const responseOf = (options: {
  readonly id: unknown
  readonly result: unknown
  readonly error: unknown
}): JSONRPCMessage | undefined => {
  const { error, result } = options
  const id = idOf(options.id)
  const failure = errorOf(error)
  if (id === undefined) {
    const isOrphan = options.id === undefined || options.id === null
    return isOrphan && failure !== undefined ? { jsonrpc: "2.0", error: failure } : undefined
  }
  if (failure !== undefined && (result === undefined || result === null || isProper(error))) {
    return { jsonrpc: "2.0", id, error: failure }
  }
  if (result === undefined) return faulty(id, "has neither result nor error")
  // The receiver knows whether the method has a result that need not be an object.
  return { jsonrpc: "2.0", id, result: result as Record<string, unknown> }
}

/** Whether an error says something. */
const isProper = (error: unknown): boolean =>
  typeof error === "string" ||
  (Predicate.isObject(error) &&
    (("code" in error && typeof error.code === "number") || ("message" in error && typeof error.message === "string")))

/** Returns a JSON-RPC error object. Returns `undefined` for a value that means no error. */
const errorOf = (error: unknown): JSONRPCErrorResponse["error"] | undefined => {
  if (error === undefined || error === null || error === false || error === "" || error === 0) return undefined
  if (!Predicate.isObject(error)) {
    return typeof error === "string"
      ? { code: 0, message: error }
      : { code: 0, message: "the server gave no message", data: error }
  }
  const { code, data, message } = error as Record<string, unknown>
  if (Number.isInteger(code) && typeof message === "string") return error as JSONRPCErrorResponse["error"]
  return {
    code: Number.isInteger(code) ? code as number : 0,
    message: typeof message === "string" ? message : "the server gave no message",
    data: data ?? error
  }
}

/** Makes a response that fails its request, because of what the received one is like. */
const faulty = (id: RequestId, fault: string): JSONRPCErrorResponse => {
  const description = `the response ${fault}`
  const data = new InvalidResult({ method: "", description })
  return { jsonrpc: "2.0", id, error: { code: internalError, message: description, data } }
}

const isInvalidResult = Schema.is(InvalidResult)

/** Returns what is wrong with a response that is itself at fault; `undefined` if its error is the server's. */
export const faultOf = ({ error: { data } }: JSONRPCErrorResponse): string | undefined =>
  isInvalidResult(data) ? data.description : undefined

/** Returns a message with the members that the specification names, and a result that is an object: the SDK's client ignores all others. */
export const forClient = (message: JSONRPCMessage): JSONRPCMessage => {
  if ("method" in message) {
    const { method, params } = message
    const call = { jsonrpc: "2.0" as const, method, ...(params === undefined ? {} : { params }) }
    return "id" in message ? { ...call, id: message.id } : call
  }
  if ("error" in message) {
    const { error: { code, data, message: text }, id } = message
    return {
      jsonrpc: "2.0",
      ...(id === undefined ? {} : { id }),
      error: { code, message: text, ...(data === undefined ? {} : { data }) }
    }
  }
  const { id, result } = message
  return Predicate.isObject(result) ? { jsonrpc: "2.0", id, result } : faulty(id, "has a result that is not an object")
}
