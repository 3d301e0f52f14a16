/**
 * Classifies HTTP statuses other than success.
 */
import { AuthRequired, HttpFailed, SessionExpired } from "@mcp-sessions/core/SessionError"

/** Says what a status in answer to the handshake, or to the upgrade of a WebSocket, means. */
export const connectReasonOfStatus = (options: {
  readonly status: number
  /** `Retry-After`, verbatim. */
  readonly retryAfter: string | undefined
}): AuthRequired | HttpFailed => {
  const { retryAfter, status } = options
  return status === 401 || status === 403
    ? new AuthRequired({ status })
    : new HttpFailed({ status, retryAfter, delivery: "NotSent" })
}

/** Says what a status in answer to a request on an initialized connection means. */
export const requestReasonOfStatus = (options: {
  readonly status: number
  /** Whether the request carried a session id. */
  readonly hasSession: boolean
  /** `Retry-After`, verbatim. */
  readonly retryAfter: string | undefined
}): AuthRequired | HttpFailed | SessionExpired => {
  const { hasSession, retryAfter, status } = options
  if (status === 401 || status === 403) return new AuthRequired({ status })
  if (status === 404 && hasSession) return new SessionExpired({ status })
  const isRejected = (status >= 400 && status < 500 && status !== 408) || status === 307 || status === 308 ||
    // A server that says when to retry has turned the request away. Without that, 503 is what proxies answer when a server took
    // the request and died.
    (status === 503 && retryAfter !== undefined)
  return new HttpFailed({ status, retryAfter, delivery: isRejected ? "Rejected" : "Unknown" })
}
