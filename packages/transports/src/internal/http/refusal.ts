/**
 * Says what a refused request means: a POST on an initialized connection that was answered with a status other than success. Pure, and held
 * by a table test over statuses, bodies and kinds of connection.
 *
 * **Details**
 *
 * A refusal is the response to the request, or it says that the server does not know the session. The specification gives the second
 * meaning to 404 on a session id alone, but servers lose sessions with other statuses as well, and answer requests with the same ones. Which of
 * the two it is decides whether a tool may be called again, so where both are possible the session is asked with a ping: `judge`
 * says when, and `conclude` what follows from how the ping ended.
 */
import { type HttpFailed, ProtocolFailed, type RequestReason, SessionExpired } from "@mcp-sessions/core/SessionError"
import type { JSONRPCErrorResponse, JSONRPCMessage } from "@modelcontextprotocol/client"
import { faultOf, messagesIn } from "../jsonRpc/inboundReader.ts"
import { deliveryOfStatus, requestReasonOfStatus } from "../network/status.ts"
import { excerptOf } from "./excerpt.ts"
import type { Refusal } from "./httpExchange.ts"

/**
 * How the requests of a connection name their session: by a header, as the specification of Streamable HTTP says; by the URL that they are
 * posted to, as over SSE; or not at all.
 */
export type SessionKind = "header" | "url" | "none"

/** A refused request. */
export interface RefusedRequest {
  readonly id: string | number
  readonly refusal: Pick<Refusal, "body" | "retryAfter" | "status">
  readonly session: SessionKind
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
}

/** What a refused request ends with. */
export type Verdict =
  /** The refusal carried a JSON-RPC error for the request. */
  | { readonly _tag: "Response"; readonly response: JSONRPCMessage }
  | { readonly _tag: "Failed"; readonly reason: RequestReason }

/** How a ping on the session ended. */
export type Ping =
  | { readonly _tag: "Answered" }
  | { readonly _tag: "Refused"; readonly id: string | number; readonly refusal: Pick<Refusal, "body" | "status"> }
  /** There was no answer in time, or the network failed. */
  | { readonly _tag: "Unanswered" }

/** Statuses that HTTP itself gives a meaning, whatever the body says. */
const isOfHttp = (status: number): boolean => status === 401 || status === 403 || status === 429

/** Statuses of proxies. They say nothing of the server behind, which may have taken the request. */
const isOfProxy = (status: number): boolean => status >= 502 && status <= 504

const invalidRequest = -32_600
const methodNotFound = -32_601

/** Whether a server may mean the session by a JSON-RPC error with this code. The code has no meaning of its own for the request. */
const mayMeanSession = (code: number): boolean => code === invalidRequest || (code >= -32_099 && code <= -32_000)

/** A JSON-RPC error in a body. */
interface CarriedError {
  readonly error: JSONRPCErrorResponse["error"]
  /** Whether it names the request by its id. */
  readonly isOwn: boolean
}

/**
 * Finds the JSON-RPC error that a body carries. In response to a POST, one without an id is for the request of that POST, and so is
 * one with an id that is no request's: some servers write a constant.
 */
const errorIn = (body: string, id: string | number): CarriedError | undefined => {
  const errors = messagesIn(body).flatMap((message): ReadonlyArray<CarriedError> =>
    // Of a response that is itself at fault, the status and the words say more.
    "error" in message && faultOf(message) === undefined
      ? [{ error: message.error, isOwn: message.id === id }]
      : []
  )
  return errors.find(({ isOwn }) => isOwn) ?? errors[0]
}

const responseOf = (
  { error }: CarriedError,
  id: string | number
): Extract<Verdict, { readonly _tag: "Response" }> => ({
  _tag: "Response",
  response: { jsonrpc: "2.0", id, error }
})

/** Whether the server may have refused the session rather than the request. */
const mayBeLost = ({ retryAfter, status }: RefusedRequest["refusal"]): boolean =>
  status >= 500 ? retryAfter === undefined : status >= 400 && status !== 408

const failed = (
  { redact, refusal: { body, retryAfter, status } }: RefusedRequest,
  delivery: HttpFailed["delivery"]
): Verdict => ({
  _tag: "Failed",
  reason: requestReasonOfStatus({ status, retryAfter, body: excerptOf({ body, redact }), delivery })
})

const expired = (
  { redact, refusal: { body, status } }: RefusedRequest,
  delivery: SessionExpired["delivery"]
): Verdict => ({
  _tag: "Failed",
  reason: new SessionExpired({ status, body: excerptOf({ body, redact }), delivery })
})

/** Whether an error refuses the revision of the request. It says itself that nothing ran, whatever the status and the session. */
const refusesRevision = ({ error: { code, data, message } }: CarriedError): boolean =>
  new ProtocolFailed({ method: "", code, description: message, data }).losesConnection

/** What a refusal means if it is the response to the request. */
const answer = (request: RefusedRequest, carried: CarriedError | undefined): Verdict => {
  const { id, refusal: { retryAfter, status } } = request
  const isResponse = carried !== undefined &&
    // Without an id, an error of a proxy looks like one of the server.
    (carried.isOwn || !(isOfProxy(status) || status === 408 || (status >= 500 && retryAfter !== undefined)))
  return isResponse ? responseOf(carried, id) : failed(request, deliveryOfStatus(status))
}

/**
 * Returns the JSON-RPC error that the refusal of a request of the handshake carries. Servers of 2026-07-28 send JSON-RPC errors with statuses of
 * their own.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
export const errorResponseOf = ({ id, refusal: { body, status } }: {
  readonly id: string | number
  readonly refusal: Pick<Refusal, "body" | "status">
}): JSONRPCMessage | undefined => {
  if (status < 400 || status >= 500 || isOfHttp(status) || status === 408) return undefined
  const carried = errorIn(body, id)
  return carried?.isOwn === true ? responseOf(carried, id).response : undefined
}

/** Says what a refused request ends with, or that the session has to be asked first. */
export const judge = (request: RefusedRequest): Verdict | "ask" => {
  const { id, refusal, session } = request
  const { body, status } = refusal
  if (isOfHttp(status)) return failed(request, deliveryOfStatus(status))
  const carried = errorIn(body, id)
  if (carried !== undefined && refusesRevision(carried)) return responseOf(carried, id)
  if (session === "none") return answer(request, carried)
  if (carried?.isOwn === true) {
    return status === 404 || mayMeanSession(carried.error.code) ? "ask" : responseOf(carried, id)
  }
  if (status === 404 && session === "header") return expired(request, "Rejected")
  return mayBeLost(refusal) ? "ask" : answer(request, carried)
}

/** Whether a refused ping was answered: a JSON-RPC error for it that cannot mean its session comes from a server that knows the session. */
const isAnswer = ({ id, refusal: { body, status } }: Extract<Ping, { readonly _tag: "Refused" }>): boolean => {
  const carried = errorIn(body, id)
  if (carried?.isOwn !== true) return false
  return carried.error.code === methodNotFound || (status !== 404 && !mayMeanSession(carried.error.code))
}

/**
 * Returns what a refusal says, to compare with that of another request: without the request id, and without what differs each
 * time, such as times and identifiers of logs.
 */
const wordsOf = (body: string, id: string | number): string => {
  const carried = errorIn(body, id)
  const words = carried === undefined ? body : `${carried.error.code} ${carried.error.message}`
  return words.replaceAll(/[\da-f-]+/gi, (run) => /\d/.test(run) ? "#" : run)
}

/** Says what a refused request ends with, now that the session was asked. */
export const conclude = (request: RefusedRequest, ping: Ping): Verdict => {
  const { id, refusal: { body, status } } = request
  const carried = errorIn(body, id)
  if (ping._tag === "Answered" || (ping._tag === "Refused" && isAnswer(ping))) return answer(request, carried)
  if (ping._tag === "Refused" && (ping.refusal.status === status || ping.refusal.status === 404)) {
    // Only the same words, from the server itself, say that the request was refused for what the ping was refused for.
    const isAlike = ping.refusal.status === status && wordsOf(ping.refusal.body, ping.id) === wordsOf(body, id)
    return expired(request, isAlike && status < 500 ? "Rejected" : "Unknown")
  }
  return carried?.isOwn === true ? responseOf(carried, id) : failed(request, "Unknown")
}
