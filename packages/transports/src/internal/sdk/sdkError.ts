/**
 * Classifies errors of the SDK and below: whatever it throws becomes a reason, during a connect or for a request.
 *
 * Errors are told apart by class, code, status and the state of the connection, never by their text.
 */
import {
  AuthRequired,
  ConnectionRefused,
  type ConnectReason,
  ConnectTimeout,
  HandshakeFailed,
  InvalidResult,
  PaginationExceeded,
  ProtocolFailed,
  Reason,
  type RequestReason,
  RequestTimeout,
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
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { EngineChannel } from "../channel/engineChannel.ts"
import type { EndReason } from "../jsonRpc/requestSink.ts"
import { causesOf, networkCodeOf } from "../network/networkFailure.ts"
import { connectReasonOfStatus, requestReasonOfStatus } from "../network/status.ts"
import { asConnectReason, asRequestReason } from "../reasons.ts"

/** An error, and the state of the channel that it happened on. */
export interface Circumstances {
  readonly error: unknown
  /** Why the channel ended, if it has. */
  readonly end: EndReason | undefined
  /** Where the channel leads: the origin of a URL, or a command. */
  readonly address: string
  /** The last refusal of an HTTP request of the handshake. */
  readonly refusal: ReturnType<NonNullable<EngineChannel["refusal"]>>
}

/** The circumstances of a request on an initialized connection. */
export interface RequestCircumstances extends Circumstances {
  readonly method: string
  /** Whether the SDK still has a transport. */
  readonly isAttached: boolean
}

const isReason = Schema.is(Reason)

/** Finds a reason of ours that had to pass through the SDK as an error, or as the data of a response. Off the wire nothing is an instance. */
const ownReason = (error: unknown): Reason | undefined =>
  causesOf(error).find(isReason) ?? (error instanceof ProtocolError && isReason(error.data) ? error.data : undefined)

const authFailure = (error: unknown): AuthRequired | undefined => {
  if (error instanceof UnauthorizedError) return new AuthRequired({ status: 401 })
  // What the SDK makes of a 403 whose challenge names scopes.
  return causesOf(error).some((link) => link instanceof InsufficientScopeError)
    ? new AuthRequired({ status: 403 })
    : undefined
}

const networkCode = (error: unknown) => networkCodeOf({ error, isForeign: (link) => link instanceof SdkError })

const timeoutOf = ({ data }: SdkError): number =>
  typeof data === "object" && data !== null && "timeout" in data ? Number(data.timeout) : 0

/** A status and what came with it. The SDK passes on the status. */
const statusResponse = ({ status }: SdkHttpError, refusal: Circumstances["refusal"]) => ({
  status,
  retryAfter: refusal?.retryAfter,
  body: refusal?.body
})

const isIssue = (
  issue: unknown
): issue is { readonly path: ReadonlyArray<string | number>; readonly message: string } =>
  Predicate.isObject(issue) && "path" in issue && Array.isArray(issue.path) && "message" in issue &&
  typeof issue.message === "string"

/** How many issues of one message are named. */
const shownIssues = 5

/** Splits a text that ends with the issues of a schema, which the SDK prints as JSON. */
const splitIssues = (text: string): readonly [head: string, issues: ReadonlyArray<unknown>] => {
  const start = text.indexOf("[")
  const json = start < 0 ? Option.none() : parseIssues(text.slice(start))
  return Option.match(json, { onNone: () => [text, []], onSome: (issues) => [text.slice(0, start), issues] })
}

const parseIssues = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Schema.Unknown)))

/** Says what an error says on one line. Issues of a schema are named by the member that they are about. */
const sentenceOf = (error: Error): string => {
  const [head, found] = splitIssues(error.message)
  const issues = found.filter(isIssue)
  const text = issues.length === 0 || issues.length < found.length
    ? error.message
    : [
      head +
      issues.slice(0, shownIssues).map(({ message, path }) =>
        path.length === 0 ? message : `${path.join(".")}: ${message}`
      ).join("; "),
      ...(issues.length > shownIssues ? [`${issues.length - shownIssues} more issues`] : [])
    ].join("; ")
  return text.replaceAll(/\s+/g, " ").trim()
}

/** Says what an error means that ended a connect or its handshake. */
export const classifyConnect = ({ address, end, error, refusal }: Circumstances): ConnectReason => {
  const reason = ownReason(error)
  if (reason !== undefined) return asConnectReason(reason)
  const unauthorized = authFailure(error)
  if (unauthorized !== undefined) return unauthorized
  if (error instanceof SdkHttpError) return connectReasonOfStatus(statusResponse(error, refusal))
  if (end !== undefined) return end("NotSent")
  if (error instanceof SdkError) {
    switch (error.code) {
      case SdkErrorCode.NotConnected:
      case SdkErrorCode.ConnectionClosed:
        return new TransportClosed({ delivery: "NotSent" })
      case SdkErrorCode.RequestTimeout:
        return new ConnectTimeout({ timeout: timeoutOf(error) })
    }
  }
  const { code, isUnreachable } = networkCode(error)
  if (code === undefined && error instanceof Error) {
    return new HandshakeFailed({ description: sentenceOf(error), cause: error })
  }
  return code !== undefined && isUnreachable
    ? new ConnectionRefused({ address, code, cause: error })
    : new TransportFailed({ description: "the connection failed", code, delivery: "NotSent", cause: error })
}

const requestReasonOfSdk = (error: SdkError, method: string, end: EndReason | undefined): RequestReason | undefined => {
  const description = sentenceOf(error)
  switch (error.code) {
    case SdkErrorCode.NotConnected:
      return new TransportClosed({ delivery: "NotSent" })
    case SdkErrorCode.ConnectionClosed:
      return end?.("Unknown") ?? new TransportClosed({ delivery: "Unknown" })
    case SdkErrorCode.RequestTimeout:
      return new RequestTimeout({ method, timeout: timeoutOf(error), delivery: "Unknown" })
    case SdkErrorCode.InvalidResult:
    case SdkErrorCode.UnsupportedResultType:
    case SdkErrorCode.InputRequiredRoundsExceeded:
    case SdkErrorCode.ClientHttpUnexpectedContent:
      return new InvalidResult({ method, description, cause: error })
    case SdkErrorCode.ListPaginationExceeded:
      return new PaginationExceeded({ method, limit: description })
    case SdkErrorCode.MethodNotSupportedByProtocolVersion:
    case SdkErrorCode.CapabilityNotSupported:
      return new Unsupported({ method, description })
    default:
      return undefined
  }
}

/** Says what an error of the SDK means for a request that it sent. */
export const classifyRequest = (at: RequestCircumstances): RequestReason => {
  const { address, end, error, isAttached, method, refusal } = at
  const reason = ownReason(error)
  if (reason !== undefined) return asRequestReason({ reason, method })
  const unauthorized = authFailure(error)
  if (unauthorized !== undefined) return unauthorized
  if (error instanceof SdkHttpError) return requestReasonOfStatus(statusResponse(error, refusal))
  if (error instanceof ProtocolError) {
    const { code, data, message } = error
    return new ProtocolFailed({ method, code, description: message, data })
  }
  const known = error instanceof SdkError ? requestReasonOfSdk(error, method, end) : undefined
  if (known !== undefined) return known
  const { code, isUnreachable } = networkCode(error)
  if (code !== undefined && isUnreachable) return new ConnectionRefused({ address, code, cause: error })
  // A request on a client without a transport throws a bare Error.
  if (!isAttached) return new TransportClosed({ delivery: "NotSent" })
  // The platform's error for a body that is not JSON, and the schema's for JSON that is not a message.
  if (error instanceof SyntaxError || (error instanceof Error && error.name === "ZodError")) {
    return new InvalidResult({
      method,
      description: `the response to ${method} is not a JSON-RPC message`,
      cause: error
    })
  }
  return new TransportFailed({ description: "the connection failed", code, delivery: "Unknown", cause: error })
}
