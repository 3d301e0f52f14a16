/**
 * Encodes JSON-RPC messages.
 */
import { Unsupported } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"

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
