/**
 * The failure that a response with an error means.
 */
import { InvalidResult, ProtocolFailed } from "@mcp-sessions/core/SessionError"
import type { JSONRPCErrorResponse } from "@modelcontextprotocol/client"
import { faultOf } from "./inboundReader.ts"

/** Reads the failure of a response to a request. */
export const failureOf = (response: JSONRPCErrorResponse, method: string): InvalidResult | ProtocolFailed => {
  const { error: { code, data, message } } = response
  const fault = faultOf(response)
  return fault === undefined
    ? new ProtocolFailed({ method, code, description: message, data })
    : new InvalidResult({ method, description: fault })
}
