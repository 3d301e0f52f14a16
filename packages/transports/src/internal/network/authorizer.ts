/**
 * What a channel asks before and after its HTTP requests: which credentials to send, and whether a refusal is worth another request.
 */
import type { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Context from "effect/Context"

/** A refusal of a request for lack of credentials. */
export interface Challenge {
  readonly status: number
  /** `WWW-Authenticate`, verbatim. */
  readonly wwwAuthenticate: string | undefined
  /** `DPoP-Nonce`, verbatim. */
  readonly dpopNonce: string | undefined
  /** The headers of {@link Authorizer.headers} that the request carried. */
  readonly used: ReadonlyArray<string>
}

/** What a refusal leads to: `undefined`, the request is to be sent once more; else the reason with which it ends. */
export type Verdict = AuthRequired | AuthorizationFailed | undefined

/** Authorizes the requests of one owner at one server. */
export interface Authorizer {
  /**
   * Returns the headers of the next request, names and values in turn. A promise where they take time: an expired token is renewed first,
   * and a DPoP proof is signed. Never rejects.
   */
  readonly headers: (
    method: "DELETE" | "GET" | "POST",
    url: URL
  ) => ReadonlyArray<string> | Promise<ReadonlyArray<string>>
  /** Notes that a request with these headers was not refused for lack of credentials. */
  readonly accepted?: (used: ReadonlyArray<string>) => void
  /** Says what to do after a refusal with 401 or 403. Requests that were refused with the same token share one renewal. Never rejects. */
  readonly challenged: (challenge: Challenge) => Promise<Verdict>
  /** The latest credentials, so that no text of a server shows them. Returns another array once they have changed. */
  readonly secrets: () => ReadonlyArray<string>
}

/** The authorizer of the connection that is being made; `undefined` if requests carry the headers of the definition alone. */
export const CurrentAuthorizer: Context.Reference<Authorizer | undefined> = Context.Reference<Authorizer | undefined>(
  "@mcp-sessions/transports/CurrentAuthorizer",
  { defaultValue: () => undefined }
)
