/**
 * JSON-RPC as the gateway writes it to clients, and the errors that it answers with.
 *
 * @see https://www.jsonrpc.org/specification
 */
import * as Predicate from "effect/Predicate"
import { encode } from "../../exactNumbers.ts"

/** The id of a request of a client. */
export type RpcId = string | number

/** The codes of errors that the gateway makes itself. Errors of servers keep their own. */
export const codes = {
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internalError: -32_603,
  /** A client asks for more than its principal may have. */
  limited: -32_000,
  /** The session id is not one of this principal. */
  sessionUnknown: -32_001,
  resourceNotFound: -32_002,
  /** The request got no response of its server. `data` says why, and whether it may have run. */
  serverFailed: -32_010
} as const

/** The error of a JSON-RPC response. */
export class RpcError {
  readonly code: number
  readonly message: string
  readonly data: unknown

  constructor({ code, data, message }: {
    readonly code: number
    readonly message: string
    readonly data?: unknown
  }) {
    this.code = code
    this.message = message
    this.data = data
  }
}

/** The refusal of a request beyond `maxInFlight`, `maxInFlightPerPrincipal` or `requestsPerSecond`. */
export const tooManyRequests = new RpcError({
  code: codes.limited,
  message: "too many requests in flight, or in a second: send it again later"
})

/** The refusal of a session beyond `maxSessions` or `maxSessionsPerPrincipal`. */
export const tooManySessions = new RpcError({
  code: codes.limited,
  message: "too many sessions: end one with DELETE, or wait until one has been idle for long enough"
})

/** The refusal of a request by an id that is not one of a session of its principal. */
export const sessionUnknown = new RpcError({ code: codes.sessionUnknown, message: "Session not found" })

/** The refusal of a request whose id is the one of another. */
export const idInUse = new RpcError({
  code: codes.invalidRequest,
  message: "another request with this id is in flight"
})

/** The failure of a request by a fault of the gateway, which its log has. */
export const gatewayFailed = new RpcError({ code: codes.internalError, message: "the gateway failed" })

/** The refusal of a request by a gateway that ends. */
export const gatewayStopping = new RpcError({
  code: codes.limited,
  message: "the gateway is stopping",
  data: { reason: "GatewayStopping", delivery: "NotSent", isRetryable: true }
})

/** The failure of a request that may have run, and whose response was lost with the process that had its session. */
export const outcomeLost = new RpcError({
  code: codes.serverFailed,
  message: "the node that had the session was lost before its response came",
  data: { reason: "OutcomeUnknown", lost: "OwnerLost", delivery: "Unknown", isRetryable: false }
})

/** The failure of a request whose response was forgotten before its client resumed the stream. */
export const responseNotKept = new RpcError({
  code: codes.serverFailed,
  message: "the response was forgotten before the client resumed its stream",
  data: { reason: "ResultNotKept", delivery: "Answered", isRetryable: false }
})

/** The token under which a client wants the progress of a request; `undefined` if it wants none. */
export const progressTokenOf = ({ _meta: meta }: { readonly _meta?: unknown }): RpcId | undefined => {
  const token = Predicate.isObject(meta) ? (meta as { readonly progressToken?: unknown }).progressToken : undefined
  // JSON has no infinity, which is how a number such as 1e400 is read.
  return Predicate.isString(token) || (Predicate.isNumber(token) && Number.isFinite(token)) ? token : undefined
}

/** Encodes the response to a request. */
export const encodeResult = (id: RpcId, result: unknown): string => encode({ jsonrpc: "2.0", id, result })

/** Encodes the failure of a request; the id is `null` where that of the request is not known. */
export const encodeError = (id: RpcId | null, { code, data, message }: RpcError): string =>
  encode({ jsonrpc: "2.0", id, error: { code, message, ...(data === undefined ? {} : { data }) } })

/** Encodes a notification to a client. */
export const encodeNotification = (method: string, params?: object): string =>
  encode({ jsonrpc: "2.0", method, ...(params === undefined ? {} : { params }) })

/** Encodes a request to a client. */
export const encodeRequest = (id: RpcId, method: string, params: object | undefined): string =>
  encode({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) })
