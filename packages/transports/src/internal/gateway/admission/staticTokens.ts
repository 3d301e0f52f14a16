/**
 * Static tokens: the bearer tokens of the options of a gateway, one for each principal.
 */
import { type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/** The shortest bearer token, in characters. */
const shortestToken = 16

const isToken = (value: unknown): value is string =>
  Predicate.isString(value) && value.length >= shortestToken && /^\S+$/.test(value)

/** The issuer that a JSON Web Token names; `undefined` for any other text. */
const issuerOf = (token: string): unknown => {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token) ?? []
  if (payload === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"))
    return Predicate.hasProperty(claims, "iss") ? claims.iss : undefined
  } catch {
    return undefined
  }
}

/** Finds the problems of tokens. None of them quotes a token. */
export const problemsOfTokens = ({ issuers, tokens }: {
  readonly tokens: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly issuers: ReadonlyArray<string>
}): ReadonlyArray<ConfigProblem> => {
  const owners = new Map<string, string>()
  return Object.entries(tokens).flatMap(([principal, redacted]) => {
    const problem = (expected: string) => new InvalidValue({ path: ["tokens", principal], expected })
    const problems = issuers.some((issuer) => principal.startsWith(`${issuer} `))
      ? [problem("a name that no access token has")]
      : []
    const token: unknown = Redacted.isRedacted(redacted) ? Redacted.value(redacted) : undefined
    if (!isToken(token)) {
      const expected = `a token of ${shortestToken} characters or more, without spaces, and \`Redacted\` in a program`
      return [...problems, problem(expected)]
    }
    const owner = owners.get(token)
    if (owner === undefined) owners.set(token, principal)
    else problems.push(problem(`a token of its own, which is not also that of ${JSON.stringify(owner)}`))
    // It would be accepted after it has expired.
    if (issuers.some((issuer) => issuer === issuerOf(token))) {
      problems.push(problem("a token that is not an access token of an issuer in `jwt`"))
    }
    return problems
  })
}
