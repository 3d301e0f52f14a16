/**
 * Failures of an authorization, by what they mean for its tokens.
 */
import { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import {
  AuthorizationServerMismatchError,
  InsecureTokenEndpointError,
  IssuerMismatchError,
  OAuthError,
  RegistrationRejectedError
} from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import type { TokenStoreFailed } from "../../TokenStore.ts"
import { type Contact, FetchFailed, type OAuthFetch } from "./oauthFetch.ts"

/**
 * How one step of an authorization failed.
 *
 * - `Unavailable`: a server cannot be reached, or has a fault of its own. The step may be tried again, and tokens are kept.
 * - `Busy`: the authorization server has asked for a pause, and was not asked again. Tokens are kept.
 * - `Denied`: the authorization server refused a grant. The user has to sign in again.
 * - `ClientRefused`: the authorization server does not accept the client. A registration of its own is forgotten and made anew.
 * - `Invalid`: a server answered what it must not. Another attempt gives the same.
 * - `StoreFailed`: the token store failed. Tokens are kept.
 */
export class StepFailed extends Schema.TaggedError<StepFailed>("@mcp-sessions/transports/StepFailed")("StepFailed", {
  kind: Schema.Literals(["Unavailable", "Busy", "Denied", "ClientRefused", "Invalid", "StoreFailed"]),
  description: Schema.String,
  url: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.Finite),
  /** The error code of OAuth, where there is one. */
  code: Schema.optionalKey(Schema.String),
  /** `Retry-After` of the response, verbatim, where there is one. */
  retryAfter: Schema.optionalKey(Schema.String),
  /** Whether a store that failed may work later without a change by a person. */
  isTemporary: Schema.optionalKey(Schema.Boolean)
}) {}

type Kind = StepFailed["kind"]

/** Codes that say that the client itself is not accepted. */
const clientCodes = new Set(["invalid_client", "unauthorized_client", "invalid_redirect_uri"])

/**
 * Codes of temporary conditions of the authorization server. The SDK gives `server_error` to a body that is no error of OAuth too, such as the
 * page of a proxy: that says nothing of the grant.
 */
const temporaryCodes = new Set(["server_error", "temporarily_unavailable", "slow_down", "too_many_requests"])

const isFault = (status: number | undefined): boolean =>
  status !== undefined && (status >= 500 || status === 408 || status === 429)

const failed = (kind: Kind, description: string, contact: Contact | undefined, code?: string): StepFailed =>
  new StepFailed({
    kind,
    description,
    ...(contact === undefined ? {} : { url: contact.url }),
    ...(contact?.status === undefined ? {} : { status: contact.status }),
    ...(contact?.retryAfter === undefined ? {} : { retryAfter: contact.retryAfter }),
    ...(code === undefined ? {} : { code })
  })

/** Codes are words of small letters. Any other text does not get into messages: it may be a secret of the request, quoted. */
const codeOf = (text: string): string => /^(?=.{1,64}$)[a-z]+(?:[_-][a-z]+)*$/.test(text) ? text : "an unreadable error"

/** A failure that our own checks found. */
export const invalid = (description: string, contact?: Contact): StepFailed => failed("Invalid", description, contact)

/** An entry of the store cannot be read or written. */
export const storeFailed = ({ isRetryable, message }: TokenStoreFailed): StepFailed =>
  new StepFailed({ kind: "StoreFailed", description: message, isTemporary: isRetryable })

/** The refusal of a sign-in by the user or the authorization server. */
export const denied = (code: string): StepFailed => failed("Denied", codeOf(code), undefined, codeOf(code))

/** Says what an error of the SDK means. Nothing is decided by the text of an error, and no text of a server is kept. */
export const stepFailedOf = (options: {
  readonly error: unknown
  readonly http: OAuthFetch
  /** The step, to complete "cannot …". */
  readonly step: string
}): StepFailed => {
  const { error, http: { last }, step } = options
  if (error instanceof FetchFailed) {
    const kind = error.isTransient ? "Unavailable" : "Invalid"
    return failed(kind, `cannot ${step}: ${error.message}`, error.contact)
  }
  if (isFault(last?.status)) return failed("Unavailable", `cannot ${step}`, last)
  if (error instanceof OAuthError) {
    const code = codeOf(error.code)
    const kind = clientCodes.has(code) ? "ClientRefused" : temporaryCodes.has(code) ? "Unavailable" : "Denied"
    return failed(kind, `cannot ${step}: ${code}`, last, code)
  }
  if (error instanceof RegistrationRejectedError) return failed("Invalid", `cannot ${step}`, last)
  if (error instanceof IssuerMismatchError || error instanceof AuthorizationServerMismatchError) {
    return failed("Invalid", `cannot ${step}: the issuer is not the one that was asked`, last)
  }
  if (error instanceof InsecureTokenEndpointError) {
    return failed("Invalid", `cannot ${step}: the token endpoint is neither https nor on loopback`, last)
  }
  return failed("Invalid", `cannot ${step}: the response is not what the specification asks for`, last)
}

/** The reason of a request or a connect that a failure ends. */
export const reasonOf = (
  failure: StepFailed,
  delivery: "NotSent" | "Rejected",
  status: number
): AuthRequired | AuthorizationFailed =>
  failure.kind === "Denied" || failure.kind === "ClientRefused"
    ? new AuthRequired({ status, description: failure.description })
    : new AuthorizationFailed({
      description: failure.description,
      isRetryable: failure.kind === "Unavailable" || failure.kind === "Busy" || failure.isTemporary === true,
      delivery,
      ...(failure.url === undefined ? {} : { url: failure.url }),
      ...(failure.status === undefined ? {} : { status: failure.status })
    })
