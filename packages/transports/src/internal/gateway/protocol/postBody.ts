/**
 * The body of a POST: a JSON-RPC message, or several, as revision 2025-03-26 allows.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { messageOf } from "../../jsonRpc/inboundReader.ts"
import { excessOf } from "../../jsonRpc/jsonBounds.ts"
import { withExactArguments } from "./exactArguments.ts"
import { codes, RpcError } from "./rpc.ts"

/** How many messages one POST may hold. */
const batchLimit = 32

const invalidRequest = (message: string): RpcError => new RpcError({ code: codes.invalidRequest, message })

/** Whether the messages of a body came as an array. */
export const isBatch = (text: string): boolean => text.trimStart().startsWith("[")

/** Parses the messages of a body, or returns the error. */
export const messagesOf = (text: string): ReadonlyArray<JSONRPCMessage> | RpcError => {
  const excess = excessOf(text)
  if (excess !== undefined) return invalidRequest(`the body ${excess}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return new RpcError({ code: codes.parseError, message: "the body is not JSON" })
  }
  const values: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  const messages = values.map(messageOf).filter((message) => message !== undefined)
  return messages.length < values.length || messages.length === 0 || messages.length > batchLimit
    ? invalidRequest("the body is not a JSON-RPC message")
    : withExactArguments(messages, text)
}
