/**
 * JSON-RPC messages as JSON.
 */
import { Unsupported } from "@mcp-sessions/core/SessionError"
import type { JSONRPCErrorResponse, JSONRPCMessage } from "@modelcontextprotocol/client"

/** Whether a value has the outer shape of a message. Its receiver checks the rest. */
export const isMessage = (value: unknown): value is JSONRPCMessage =>
  typeof value === "object" && value !== null && "jsonrpc" in value &&
  ("method" in value || "id" in value || "error" in value)

/** Whether a value is this id. Some servers send it back as text. */
export const isSameId = (value: unknown, id: string | number): boolean =>
  value === id || (typeof value === "string" && value === String(id))

/** Whether a message is a JSON-RPC error without a request id: of a request that the server could not read, or did not read. */
export const isErrorWithoutId = (message: object): message is JSONRPCErrorResponse =>
  "error" in message && message.error != null && (!("id" in message) || message.id == null)

/** Whether a message has an error. `null` is how older JSON-RPC says that there is none. */
export const hasError = (message: object): boolean => "error" in message && message.error != null

/** Returns a message in which an error stands alone. A response with an error and a result is a failure, and the SDK's client drops it. */
export const withoutResultBesideError = (message: JSONRPCMessage): JSONRPCMessage => {
  if (!("result" in message) || !("error" in message)) return message
  const { error, result, ...rest } = message as JSONRPCMessage & { readonly error?: unknown; readonly result?: unknown }
  return (error == null ? { ...rest, result } : { ...rest, error }) as JSONRPCMessage
}

/** Returned by `send` of a transport for a message that was sent: one promise for all. */
export const sent: Promise<void> = Promise.resolve()

/** Returns the JSON of a message or of its params; `undefined` if there is none: params may hold any value of the caller. */
export const tryEncode = (message: object): string | undefined => {
  try {
    return JSON.stringify(message)
  } catch {
    return undefined
  }
}

/** Returns the JSON of a message, or throws `Unsupported`: for `send` of the SDK's transports, which fail by throwing. */
export const encode = (message: JSONRPCMessage): string => {
  const text = tryEncode(message)
  if (text !== undefined) return text
  const method = "method" in message ? message.method : "response"
  throw new Unsupported({ method, description: `the params of ${method} cannot be encoded as JSON` })
}
