/**
 * Verifier of the access tokens of one issuer: signature, issuer, audience, times, scopes, and the claim of the principal.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-4
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Jose from "jose"
import { textOrEmpty } from "../textOrEmpty.ts"
import type { IssuerKeys, KeySet } from "./issuerKeys.ts"
import type { ReadJwtOptions } from "./jwtOptions.ts"
import { type TokenFault, TokenRefused } from "./tokenRefused.ts"

/** The maximum number of keys that are tried for a token without a key id. */
const mostCandidates = 8

/** Accepted values of the header `typ`. Issuers sign tokens of other types, such as logout tokens, with the same keys. */
const accessTokenTypes: ReadonlySet<string> = new Set(["jwt", "at+jwt"])

/** A token that was verified. */
export interface Verified {
  readonly principal: string
  /** The end of the acceptance, in milliseconds since the epoch. */
  readonly expiresAt: number
  /** The keys with which it was verified. */
  readonly keys: KeySet
}

export interface TokenVerifierOptions extends ReadJwtOptions {
  readonly jose: typeof Jose
  readonly keys: IssuerKeys
  /** The time of day, in milliseconds since the epoch. */
  readonly timeOfDay: () => number
}

const refused = (fault: TokenFault): TokenRefused => new TokenRefused({ fault })

/** The scopes of a token: `scope` (RFC 8693, section 4.2), or `scp` as some authorization servers write it. */
const scopesOf = ({ scope, scp }: Jose.JWTPayload): ReadonlySet<unknown> =>
  new Set(
    [scope, scp].flatMap((value) => Predicate.isString(value) ? value.split(" ") : Array.isArray(value) ? value : [])
  )

export class TokenVerifier {
  readonly options: TokenVerifierOptions

  constructor(options: TokenVerifierOptions) {
    this.options = options
  }

  /** Verifies a token. If its key is unknown, fetches the keys of the issuer once more. */
  verify(token: string, header: Jose.ProtectedHeaderParameters): Effect.Effect<Verified, TokenRefused> {
    return Effect.gen({ self: this }, function*() {
      const { algorithms, keys } = this.options
      if (!algorithms.includes(textOrEmpty(header.alg))) return yield* refused("AlgorithmRefused")
      const type = textOrEmpty(header.typ ?? "JWT").toLowerCase().replace(/^application\//, "")
      if (!accessTokenTypes.has(type)) return yield* refused("WrongType")
      const toRefused = () => refused("KeysUnavailable")
      const set = yield* Effect.mapError(keys.current, toRefused)
      return yield* this.#verifyWith(token, set).pipe(
        Effect.catchIf(
          // A token without a key id may be signed with a new key.
          ({ fault }) => fault === "UnknownKey" || (fault === "BadSignature" && header.kid === undefined),
          (error) =>
            Effect.flatMap(
              Effect.mapError(keys.newerThan(set), toRefused),
              (newer) => newer === undefined ? Effect.fail(error) : this.#verifyWith(token, newer)
            )
        )
      )
    })
  }

  #verifyWith(token: string, keys: KeySet): Effect.Effect<Verified, TokenRefused> {
    return Effect.flatMap(
      Effect.tryPromise({ try: () => this.#check(token, keys), catch: (error) => this.#classify(error) }),
      (claims) => this.#accept(claims, keys)
    )
  }

  async #check(token: string, { find }: KeySet): Promise<Jose.JWTPayload> {
    const { algorithms, audiences, clockTolerance, issuer, jose, timeOfDay } = this.options
    const options: Jose.JWTVerifyOptions = {
      algorithms: [...algorithms],
      audience: [...audiences],
      issuer,
      requiredClaims: ["exp"],
      clockTolerance: clockTolerance / 1000,
      currentDate: DateTime.toDateUtc(DateTime.makeUnsafe(timeOfDay()))
    }
    try {
      return (await jose.jwtVerify(token, find, options)).payload
    } catch (error) {
      if (!(error instanceof jose.errors.JWKSMultipleMatchingKeys)) throw error
      let tried = 0
      for await (const key of error) {
        if (++tried > mostCandidates) break
        try {
          return (await jose.jwtVerify(token, key, options)).payload
        } catch (fault) {
          if (!(fault instanceof jose.errors.JWSSignatureVerificationFailed)) throw fault
        }
      }
      throw new jose.errors.JWSSignatureVerificationFailed()
    }
  }

  #accept(claims: Jose.JWTPayload, keys: KeySet): Effect.Effect<Verified, TokenRefused> {
    const { clockTolerance, issuer, principalClaim, requiredScopes } = this.options
    const principal = claims[principalClaim]
    const { cnf, exp } = claims
    if (cnf !== undefined) return Effect.fail(refused("BoundToKey"))
    if (exp === undefined || !Predicate.isString(principal) || !/^\P{Cc}{1,255}$/u.test(principal)) {
      return Effect.fail(refused("MissingClaim"))
    }
    const scopes = scopesOf(claims)
    if (!requiredScopes.every((scope) => scopes.has(scope))) {
      return Effect.fail(new TokenRefused({ fault: "InsufficientScope", scopes: requiredScopes }))
    }
    return Effect.succeed({
      principal: `${issuer} ${principal}`,
      expiresAt: exp * 1000 + clockTolerance,
      keys
    })
  }

  #classify(error: unknown): TokenRefused {
    const { errors } = this.options.jose
    if (error instanceof errors.JWTExpired) return refused("Expired")
    if (error instanceof errors.JWTClaimValidationFailed) {
      const isMissing = error.reason === "missing"
      switch (error.claim) {
        case "aud":
          return refused("WrongAudience")
        case "iss":
          return refused("UnknownIssuer")
        case "nbf":
          return refused("NotYetValid")
        default:
          return refused(isMissing ? "MissingClaim" : "Malformed")
      }
    }
    if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
      return refused("AlgorithmRefused")
    }
    if (error instanceof errors.JWKSNoMatchingKey) return refused("UnknownKey")
    if (error instanceof errors.JWSSignatureVerificationFailed) return refused("BadSignature")
    return refused("Malformed")
  }
}
