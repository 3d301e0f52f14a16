/**
 * Options of access tokens: the issuer, and the claims that tokens must have.
 */
import { type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { isConfidential } from "../oauth/oauthFetch.ts"
import { keysOf, unknownKeys } from "../unknownKeys.ts"

const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const

/**
 * A signature algorithm of access tokens (RFC 7518, RFC 8037). All are asymmetric, because the keys of an issuer are public.
 *
 * @category models
 * @since 0.1.0
 */
export type JwtAlgorithm = typeof algorithms[number]

/**
 * Access tokens that are JSON Web Tokens (RFC 9068) of one authorization server.
 *
 * @category models
 * @since 0.1.0
 */
export interface JwtOptions {
  /** The issuer of the tokens, equal to their `iss` claim: an https URL, or http on loopback. */
  readonly issuer: string
  /** The accepted values of the `aud` claim. A token must have one of them. Default: the URL of the gateway (RFC 8707). */
  readonly audience?: string | ReadonlyArray<string> | undefined
  /** The URL of the JSON Web Key Set. Default: the `jwks_uri` in the metadata of the issuer (RFC 8414, OpenID Connect Discovery). */
  readonly jwksUri?: string | undefined
  /** The signature algorithms that are accepted. Default: all. */
  readonly algorithms?: ReadonlyArray<JwtAlgorithm> | undefined
  /** How far the clock of the issuer may differ, from 0 to 5 minutes. Tokens are accepted for this long after `exp`. Default: 5 seconds. */
  readonly clockTolerance?: Duration.Input | undefined
  /** The claim that names the principal, of 1 to 255 characters. Principals of different issuers never coincide. Default: `"sub"`. */
  readonly principalClaim?: string | undefined
  /** The scopes that every token needs. A token that lacks one is refused with 403. Default: none. */
  readonly requiredScopes?: ReadonlyArray<string> | undefined
}

/** The options of one issuer with their defaults. */
export interface ReadJwtOptions {
  readonly issuer: string
  /** Empty: the URL of the gateway. */
  readonly audiences: ReadonlyArray<string>
  readonly jwksUri: string | undefined
  readonly algorithms: ReadonlyArray<string>
  /** In milliseconds. */
  readonly clockTolerance: number
  readonly principalClaim: string
  readonly requiredScopes: ReadonlyArray<string>
}

/** The largest difference of clocks, in milliseconds. */
const largestTolerance = 5 * 60_000

const isText = (value: unknown): value is string => Predicate.isString(value) && value !== ""

/** Whether a text is a URL of a server that the gateway may send requests to, without credentials and fragment. */
export const isServerUrl = (value: unknown): value is string => {
  const url = Predicate.isString(value) ? URL.parse(value) : null
  return url !== null && isConfidential(url) && url.username === "" && url.password === "" &&
    !String(value).includes("#")
}

/** Whether a text is a scope (RFC 6749, appendix A.4). */
const isScope = (value: unknown): boolean => Predicate.isString(value) && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)

const readOne = (
  options: JwtOptions,
  expect: (isValid: boolean, key: string, expected: string) => void
): ReadJwtOptions => {
  const { audience = [], issuer, jwksUri, principalClaim = "sub", requiredScopes = [] } = options
  const accepted = options.algorithms ?? algorithms
  const audiences = [audience].flat()
  const tolerance = Option.getOrUndefined(Duration.fromInput(options.clockTolerance ?? "5 seconds"))
  const clockTolerance = tolerance === undefined ? Infinity : Duration.toMillis(tolerance)
  expect(isServerUrl(issuer) && !issuer.includes("?"), "issuer", "the issuer, an https URL without a query")
  expect(audiences.every(isText), "audience", "a text that is not empty, or a list of them")
  expect(jwksUri === undefined || isServerUrl(jwksUri), "jwksUri", "an https URL")
  expect(
    accepted.length > 0 && accepted.every((one) => algorithms.includes(one)),
    "algorithms",
    `a list of ${algorithms.join(", ")}`
  )
  expect(
    clockTolerance >= 0 && clockTolerance <= largestTolerance,
    "clockTolerance",
    "a duration from 0 to 5 minutes"
  )
  expect(isText(principalClaim), "principalClaim", "the name of a claim")
  expect(requiredScopes.every(isScope), "requiredScopes", "scopes without spaces and quotes")
  return { issuer, audiences, jwksUri, algorithms: accepted, clockTolerance, principalClaim, requiredScopes }
}

const keys = keysOf<JwtOptions>({
  algorithms: true,
  audience: true,
  clockTolerance: true,
  issuer: true,
  jwksUri: true,
  principalClaim: true,
  requiredScopes: true
})

/** Reads the options of issuers, with all their problems. */
export const readJwtOptions = (
  input: JwtOptions | ReadonlyArray<JwtOptions> | undefined
): { readonly issuers: ReadonlyArray<ReadJwtOptions>; readonly problems: ReadonlyArray<ConfigProblem> } => {
  const problems: Array<ConfigProblem> = []
  const list: ReadonlyArray<JwtOptions> = input === undefined ? [] : [input].flat()
  const issuers = list.map((options, index) => {
    const path = Array.isArray(input) ? ["jwt", String(index)] : ["jwt"]
    problems.push(...unknownKeys({ options, known: keys, path }))
    return readOne(options, (isValid, key, expected) => {
      if (!isValid) problems.push(new InvalidValue({ path: [...path, key], expected }))
    })
  })
  if (new Set(issuers.map(({ issuer }) => issuer)).size < issuers.length) {
    problems.push(new InvalidValue({ path: ["jwt"], expected: "each issuer once" }))
  }
  return { issuers, problems }
}
