/**
 * JSON-RPC messages between the wire and the SDK.
 */
import { Unsupported } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"

/** Whether a value has the outer shape of a message. What is in it is for its receiver to see. */
export const isMessage = (value: unknown): value is JSONRPCMessage =>
  typeof value === "object" && value !== null && "jsonrpc" in value && ("method" in value || "id" in value)

/** What `send` gives once a message is on its way: one promise for all, which nobody needs to listen to. */
export const sent: Promise<void> = Promise.resolve()

/** The JSON of a message, or why it has none: arguments of a caller may hold anything. */
export const encode = (message: JSONRPCMessage): string => {
  try {
    return JSON.stringify(message)
  } catch {
    const method = "method" in message ? message.method : "response"
    throw new Unsupported({ method, description: `what ${method} was given cannot be sent as JSON` })
  }
}
