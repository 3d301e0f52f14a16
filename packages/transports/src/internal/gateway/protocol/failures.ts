/**
 * Failures of upstream sessions as JSON-RPC errors of the gateway.
 *
 * An error that a server answered with keeps its code, message and data. Any other failure has the code -32010 and data that a program can
 * decide on: the reason, and its delivery. `OutcomeUnknown` says that the tool may have run; the gateway never sends such a call again.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Reason, SessionError } from "@mcp-sessions/core/SessionError"
import { codes, RpcError } from "./rpc.ts"

/** The data of an error with the code -32010. */
interface FailureData {
  /** The name of the server, as the gateway is configured. */
  readonly server: string
  /** The tag of the reason, such as `OutcomeUnknown` or `ServerDown`. */
  readonly reason: string
  /** How far the request got: `NotSent`, `Rejected`, `Unknown` or `Answered`. */
  readonly delivery: string
  /** Whether the same request may succeed later. It is safe to repeat unless `delivery` is `Unknown`. */
  readonly isRetryable: boolean
  /** Why there is no response. Only for `OutcomeUnknown`. */
  readonly lost?: string
  /** When the server is tried again, in milliseconds since the epoch. Only for `ServerDown` and `RateLimited`. */
  readonly retryAt?: number
}

/** The message of a reason without the output of the process and the body of the response, which may be of another client. */
const messageOf = (reason: Reason): string => {
  switch (reason._tag) {
    case "OutcomeUnknown":
      return `${reason.tool ?? reason.method} may or may not have run: ${messageOf(reason.lost)}`
    case "HttpFailed":
    case "SessionExpired":
    case "AuthRequired":
      return `the server responded with HTTP ${reason.status}`
    default:
      return reason.message.split("\n", 1).join()
  }
}

/** Returns the JSON-RPC error of a failed request. */
export const toRpcError = (error: SessionError | ConfigError): RpcError => {
  if (error._tag === "ConfigError") {
    return new RpcError({ code: codes.internalError, message: "the server is not usable as it is configured" })
  }
  const { reason, server } = error
  if (reason._tag === "ProtocolFailed") {
    return new RpcError({ code: reason.code, message: reason.description, data: reason.data })
  }
  if (reason._tag === "Unsupported") {
    return new RpcError({ code: codes.methodNotFound, message: reason.message, data: { server } })
  }
  const data: FailureData = {
    server,
    reason: reason._tag,
    delivery: reason.delivery,
    isRetryable: reason.isRetryable,
    ...(reason._tag === "OutcomeUnknown" ? { lost: reason.lost._tag } : {}),
    ...("retryAt" in reason ? { retryAt: reason.retryAt } : {})
  }
  return new RpcError({ code: codes.serverFailed, message: `${server}: ${messageOf(reason)}`, data })
}
