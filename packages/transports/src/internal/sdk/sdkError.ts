/**
 * The one place that looks into errors of others: whatever the SDK, undici or the system throw becomes a `Reason`.
 *
 * Errors are told apart by class, code, status and the state of the connection, never by their text.
 */
import {
  AuthRequired,
  ConnectionRefused,
  ConnectTimeout,
  HandshakeFailed,
  HttpFailed,
  InvalidResult,
  PaginationExceeded,
  ProtocolFailed,
  Reason,
  RequestTimeout,
  SessionExpired,
  TransportClosed,
  TransportFailed,
  Unsupported
} from "@mcp-sessions/core/SessionError"
import {
  InsufficientScopeError,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"

/** An error, and where it happened. */
export interface Circumstances {
  readonly error: unknown
  readonly method: string
  /** Whether the handshake was under way: nothing that fails then has been sent for a caller. */
  readonly isConnecting: boolean
  /** Whether the server had given the connection a session id. */
  readonly hasSession: boolean
  /** Whether the SDK still has a transport. */
  readonly isAttached: boolean
  /** Why the channel is gone, once it is. */
  readonly gone: (delivery: "NotSent" | "Unknown") => Reason | undefined
  /** What the channel leads to: origin of a URL, or a command. */
  readonly address: string
  /** `Retry-After` of the last response, verbatim. */
  readonly retryAfter: string | undefined
}

const isReason = Schema.is(Reason)

/** Codes of failures that come before a byte of the request has left. */
const unreachable = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_NODATA",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/** Codes that do only where the system call was that of connecting: an open connection can end with them, too. */
const unreachableAtFirst = new Set([
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "ETIMEDOUT"
])

/** The chain of causes, an aggregate's members included, outermost first. */
const chain = (error: unknown, depth = 0): ReadonlyArray<unknown> => {
  if (!(error instanceof Error) || depth > 8) return [error]
  const members: ReadonlyArray<unknown> = error instanceof AggregateError ? error.errors : []
  return [error, ...[error.cause, ...members].flatMap((inner) => inner === undefined ? [] : chain(inner, depth + 1))]
}

interface NetworkFailure {
  readonly code: string | undefined
  /** Whether it came before a byte of the request had left. */
  readonly isUnreachable: boolean
}

/** The system's or undici's code of a failure of the network, from wherever in the chain it is. */
const networkFailure = (error: unknown): NetworkFailure => {
  for (const link of chain(error)) {
    if (link instanceof SdkError || !(link instanceof Error) || !("code" in link)) continue
    const { code } = link
    if (typeof code !== "string") continue
    const isConnect = "syscall" in link && (link.syscall === "connect" || link.syscall === "getaddrinfo")
    return { code, isUnreachable: unreachable.has(code) || (isConnect && unreachableAtFirst.has(code)) }
  }
  return { code: undefined, isUnreachable: false }
}

/** Says what an HTTP status other than success means. */
export const reasonOfStatus = (options: {
  readonly status: number
  /** Whether the request carried a session id. */
  readonly hasSession: boolean
  /** `Retry-After`, verbatim. */
  readonly retryAfter: string | undefined
  /** Whether the handshake was under way. */
  readonly isConnecting: boolean
}): Reason => {
  const { hasSession, isConnecting, retryAfter, status } = options
  if (status === 401 || status === 403) return new AuthRequired({ status })
  if (status === 404 && hasSession) return new SessionExpired({ status })
  const isRejected = isConnecting || (status >= 400 && status < 500 && status !== 408) || status === 307 ||
    status === 308 ||
    // A server that says when to come again has turned the request away. Without that, 503 is what proxies say of a
    // server that took it and died.
    (status === 503 && retryAfter !== undefined)
  return new HttpFailed({
    status,
    retryAfter,
    delivery: isConnecting ? "NotSent" : isRejected ? "Rejected" : "Unknown"
  })
}

/** Says what a failure of the network means for a request that was to go to `address`. */
export const classifyNetwork = (options: { readonly error: unknown; readonly address: string }): Reason => {
  const { address, error } = options
  const reason = chain(error).find(isReason)
  if (reason !== undefined) return reason
  const { code, isUnreachable } = networkFailure(error)
  return code !== undefined && isUnreachable
    ? new ConnectionRefused({ address, code, cause: error })
    : new TransportFailed({ description: "the connection failed", code, delivery: "Unknown", cause: error })
}

const fromSdk = (error: SdkError, at: Circumstances): Reason | undefined => {
  const { method } = at
  const description = error.message
  switch (error.code) {
    case SdkErrorCode.NotConnected:
      return new TransportClosed({ delivery: "NotSent" })
    case SdkErrorCode.ConnectionClosed: {
      const delivery = at.isConnecting ? "NotSent" : "Unknown"
      return at.gone(delivery) ?? new TransportClosed({ delivery })
    }
    case SdkErrorCode.RequestTimeout: {
      const timeout = typeof error.data === "object" && error.data !== null && "timeout" in error.data
        ? Number(error.data.timeout)
        : 0
      return at.isConnecting
        ? new ConnectTimeout({ timeout })
        : new RequestTimeout({ method, timeout, delivery: "Unknown" })
    }
    case SdkErrorCode.InvalidResult:
    case SdkErrorCode.UnsupportedResultType:
    case SdkErrorCode.InputRequiredRoundsExceeded:
    case SdkErrorCode.ClientHttpUnexpectedContent:
      return at.isConnecting ? undefined : new InvalidResult({ method, description, cause: error })
    case SdkErrorCode.ListPaginationExceeded:
      return new PaginationExceeded({ method, limit: description })
    case SdkErrorCode.MethodNotSupportedByProtocolVersion:
    case SdkErrorCode.CapabilityNotSupported:
      return new Unsupported({ method, description })
    default:
      return undefined
  }
}

/** Says what an error of the SDK or below means. */
export const classify = (at: Circumstances): Reason => {
  const { error } = at
  const reason = chain(error).find(isReason)
  if (reason !== undefined) return reason
  // A reason that had to pass through the SDK in the shape of an answer. What comes off the wire is never an instance.
  if (error instanceof ProtocolError && isReason(error.data)) return error.data
  if (error instanceof UnauthorizedError) return new AuthRequired({ status: 401 })
  // The SDK's word for a 403 whose challenge names scopes.
  if (chain(error).some((link) => link instanceof InsufficientScopeError)) return new AuthRequired({ status: 403 })
  if (error instanceof SdkHttpError) {
    const { hasSession, isConnecting, retryAfter } = at
    return reasonOfStatus({
      status: error.status,
      hasSession: hasSession && !isConnecting,
      retryAfter,
      isConnecting
    })
  }
  const gone = at.isConnecting ? at.gone("NotSent") : undefined
  if (gone !== undefined) return gone
  if (error instanceof ProtocolError && !at.isConnecting) {
    const { code, data, message } = error
    return new ProtocolFailed({ method: at.method, code, description: message, data })
  }
  const known = error instanceof SdkError ? fromSdk(error, at) : undefined
  if (known !== undefined) return known
  const { code, isUnreachable } = networkFailure(error)
  if (code !== undefined && isUnreachable) {
    return new ConnectionRefused({ address: at.address, code, cause: error })
  }
  // A request on a client without transport throws a bare Error.
  if (!at.isConnecting && !at.isAttached) return new TransportClosed({ delivery: "NotSent" })
  if (at.isConnecting && code === undefined && error instanceof Error) {
    return new HandshakeFailed({ description: error.message, cause: error })
  }
  // The platform's error for an unreadable body, and the schema's for a readable one that is no message.
  if (error instanceof SyntaxError || (error instanceof Error && error.name === "ZodError")) {
    return new InvalidResult({ method: at.method, description: "the answer is no JSON-RPC message", cause: error })
  }
  return new TransportFailed({
    description: "the connection failed",
    code,
    delivery: at.isConnecting ? "NotSent" : "Unknown",
    cause: error
  })
}
