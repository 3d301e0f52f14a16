/**
 * Why an access token is refused.
 */
import * as Schema from "effect/Schema"

/** The reasons, and the descriptions that clients receive. No description quotes the token. */
export const tokenFaults = {
  Malformed: "the token is not a JSON Web Token",
  WrongType: "the token is not an access token",
  AlgorithmRefused: "the algorithm of the signature is not accepted",
  UnknownIssuer: "the issuer of the token is not accepted",
  UnknownKey: "the issuer does not have the key of the token",
  BadSignature: "the signature of the token is wrong",
  WrongAudience: "the token is for another resource",
  NotYetValid: "the token is not valid yet",
  Expired: "the token has expired",
  MissingClaim: "the token lacks a claim",
  BoundToKey: "the token is bound to a key (cnf), which is not supported",
  InsufficientScope: "the token lacks a scope",
  KeysUnavailable: "the keys of the issuer are currently unavailable",
  Busy: "too many tokens are being verified"
} as const

/** The reason of a refusal. */
export type TokenFault = keyof typeof tokenFaults

/** An access token is refused. */
export class TokenRefused
  extends Schema.TaggedError<TokenRefused>("@mcp-sessions/transports/accessTokens/TokenRefused")("TokenRefused", {
    fault: Schema.Literals(Object.keys(tokenFaults) as Array<TokenFault>),
    /** The scopes that the token needs. */
    scopes: Schema.optionalKey(Schema.Array(Schema.String))
  })
{}
