/**
 * Narrows reasons to those that a connect, or a request on an initialized connection, can fail with.
 */
import {
  AuthorizationFailed,
  type ConnectReason,
  ConnectTimeout,
  HandshakeFailed,
  HttpFailed,
  InvalidResult,
  MessageTooLarge,
  ProxyFailed,
  type Reason,
  type RequestReason,
  RequestTimeout,
  ServerExited,
  TransportClosed,
  TransportFailed
} from "@mcp-sessions/core/SessionError"

/** Returns what a reason means for a connect: nothing of a caller was sent, and what is said of a request is said of the handshake. */
export const asConnectReason = (reason: Reason): ConnectReason => {
  const delivery = "NotSent"
  switch (reason._tag) {
    case "SpawnFailed":
    case "ConnectionRefused":
    case "TlsFailed":
    case "BlockedAddress":
    case "ConnectTimeout":
    case "AuthRequired":
    case "HandshakeFailed":
    case "ProtocolMismatch":
    case "CredentialsFailed":
      return reason
    case "AuthorizationFailed":
      return new AuthorizationFailed({ ...reason, delivery })
    case "ProxyFailed":
      return new ProxyFailed({ ...reason, delivery })
    case "ServerExited": {
      const { exitCode, signal, stderrTail } = reason
      return new ServerExited({ exitCode, signal, stderrTail, delivery })
    }
    case "TransportFailed": {
      const { cause, code, description } = reason
      return new TransportFailed({ description, code, delivery, cause })
    }
    case "TransportClosed":
      return new TransportClosed({ delivery })
    case "MessageTooLarge":
      return new MessageTooLarge({ limit: reason.limit, delivery })
    case "HttpFailed":
      return new HttpFailed({ status: reason.status, retryAfter: reason.retryAfter, body: reason.body, delivery })
    case "SessionExpired":
      return new HttpFailed({ status: reason.status, body: reason.body, delivery })
    case "RequestTimeout":
      return new ConnectTimeout({ timeout: reason.timeout })
    case "ResponseLost":
      return new TransportFailed({ description: reason.message, delivery, cause: reason })
    default:
      return new HandshakeFailed({ description: reason.message, cause: reason })
  }
}

/** Returns what a reason means for a request on an initialized connection. No reason of a connect is left. */
export const asRequestReason = (options: { readonly reason: Reason; readonly method: string }): RequestReason => {
  const { method, reason } = options
  switch (reason._tag) {
    case "ServerExited":
    case "ConnectionRefused":
    case "ProxyFailed":
    case "TlsFailed":
    case "BlockedAddress":
    case "TransportFailed":
    case "TransportClosed":
    case "MessageTooLarge":
    case "ResponseLost":
    case "HttpFailed":
    case "SessionExpired":
    case "AuthRequired":
    case "AuthorizationFailed":
    case "RequestTimeout":
    case "ProtocolFailed":
    case "InvalidResult":
    case "PaginationExceeded":
    case "Unsupported":
      return reason
    case "ConnectTimeout":
      return new RequestTimeout({ method, timeout: reason.timeout, delivery: "Unknown" })
    case "HandshakeFailed":
    case "ProtocolMismatch":
      return new InvalidResult({ method, description: reason.message, cause: reason })
    default:
      return new TransportFailed({ description: reason.message, delivery: "Unknown", cause: reason })
  }
}
