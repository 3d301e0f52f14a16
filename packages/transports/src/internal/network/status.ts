/**
 * Classifies HTTP statuses other than success, by the status alone.
 */
import { AuthRequired, type Delivery, HttpFailed } from "@mcp-sessions/core/SessionError"

/** A response with a status other than success. */
export interface StatusResponse {
  readonly status: number
  /** `Retry-After`, verbatim. */
  readonly retryAfter: string | undefined
  /** What the server said: an `excerpt` of the body. */
  readonly body?: string | undefined
}

const reasonOf = ({ body, retryAfter, status }: StatusResponse, delivery: Delivery): AuthRequired | HttpFailed =>
  status === 401 || status === 403
    ? new AuthRequired({ status, body })
    : new HttpFailed({ status, retryAfter, body, delivery })

/** Says what a status in answer to the handshake, or to the upgrade of a WebSocket, means. */
export const connectReasonOfStatus = (response: StatusResponse): AuthRequired | HttpFailed =>
  reasonOf(response, "NotSent")

/**
 * Says how far a request got that was refused with this status, where the refusal is known to be the response to the request and not to its
 * session.
 *
 * 429, 307 and 308 say that nothing was done. Any other 4xx is the response. All else leaves open whether the request ran: 408 comes from
 * servers that have waited too long, 303 follows work that was done, and 5xx comes from proxies whose server died in the middle of the
 * request, with or without `Retry-After`.
 */
export const deliveryOfStatus = (status: number): Exclude<Delivery, "NotSent"> => {
  if (status === 429 || status === 307 || status === 308) return "Rejected"
  return status >= 400 && status < 500 && status !== 408 ? "Answered" : "Unknown"
}

/** Says what a status in answer to a request on an initialized connection means. `delivery` is that of the status by default. */
export const requestReasonOfStatus = (
  response: StatusResponse & { readonly delivery?: Delivery | undefined }
): AuthRequired | HttpFailed => reasonOf(response, response.delivery ?? deliveryOfStatus(response.status))
