/**
 * Challenges: the response to a request without an accepted token, which names the authorization servers.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#authorization-server-location
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
import type { IncomingMessage } from "node:http"
import { type TokenFault, tokenFaults } from "../../accessTokens/tokenRefused.ts"

/** A request that is not admitted. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 500 | 503
  readonly description: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Why the token of a request is not accepted. */
export type RefusalReason = "NoToken" | "SeveralTokens" | "UnknownToken" | TokenFault

const descriptions: Readonly<Record<RefusalReason, string>> = {
  NoToken: "the request needs a bearer token",
  SeveralTokens: "the request has several Authorization headers",
  UnknownToken: "the token is not known",
  ...tokenFaults
}

/** The status and the error code (RFC 6750, section 3.1) of reasons other than an invalid token. */
const special: { readonly [R in RefusalReason]?: readonly [status: Refusal["status"], error: string | undefined] } = {
  NoToken: [401, undefined],
  SeveralTokens: [400, "invalid_request"],
  InsufficientScope: [403, "insufficient_scope"],
  KeysUnavailable: [503, undefined],
  Busy: [503, undefined]
}

export interface ChallengesOptions {
  /** The URL of the metadata of the gateway as a resource; `undefined`: tokens are given out by hand. */
  readonly metadataUrl: string | undefined
  /** The scopes that tokens need. */
  readonly scopes: ReadonlyArray<string>
  /** Called with each refusal. */
  readonly onRefusal: (reason: RefusalReason, request: IncomingMessage) => void
}

export class Challenges {
  readonly #options: ChallengesOptions

  constructor(options: ChallengesOptions) {
    this.#options = options
  }

  /** Makes the refusal of a request. `scopes` are those that its token needs; default: those that all tokens need. */
  refuse(request: IncomingMessage, reason: RefusalReason, scopes?: ReadonlyArray<string>): Refusal {
    const { metadataUrl, onRefusal } = this.#options
    onRefusal(reason, request)
    const [status, error] = special[reason] ?? [401, "invalid_token"]
    // With static tokens, a wrong token has the same answer as a missing token.
    if (metadataUrl === undefined && status === 401) {
      return { status, description: descriptions.NoToken, headers: { "www-authenticate": "Bearer" } }
    }
    const description = descriptions[reason]
    if (status === 503) return { status, description, headers: { "retry-after": "5" } }
    const wanted = (scopes ?? this.#options.scopes).join(" ")
    const parameters = {
      resource_metadata: metadataUrl,
      scope: wanted === "" ? undefined : wanted,
      error,
      error_description: error === undefined ? undefined : description
    }
    const written = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : `${name}="${value}"`
    )
    return { status, description, headers: { "www-authenticate": `Bearer ${written.join(", ")}` } }
  }
}
