/**
 * Revocation of tokens at a sign-out.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7009
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { informationOf } from "./clients.ts"
import type { Tokens } from "./records.ts"
import type { TokenSource } from "./tokenSource.ts"

/**
 * Revokes tokens that were forgotten, where the authorization server offers that. A failure is logged: nobody has the tokens any more, and
 * they expire by themselves.
 */
export const revoke = (source: TokenSource, tokens: Tokens): Effect.Effect<void> =>
  Effect.gen(function*() {
    const http = source.options.makeFetch()
    const { metadata } = yield* source.discover(http)
    if (metadata?.issuer !== tokens.issuer || !Predicate.hasProperty(metadata, "revocation_endpoint")) return
    const endpoint = metadata.revocation_endpoint
    if (!Predicate.isString(endpoint)) return
    const { client_id, client_secret } = informationOf(tokens.client)
    const [token, hint] = tokens.refreshToken === undefined
      ? [tokens.accessToken, "access_token"]
      : [tokens.refreshToken, "refresh_token"]
    const body = new URLSearchParams({
      token: Redacted.value(token),
      token_type_hint: hint,
      client_id,
      ...(client_secret === undefined ? {} : { client_secret })
    })
    const headers = { "content-type": "application/x-www-form-urlencoded" }
    yield* Effect.promise(() => http.fetch(endpoint, { method: "POST", headers, body: body.toString() }))
  }).pipe(Effect.catchCause((cause) => Effect.logDebug("the tokens could not be revoked", cause)))
