/**
 * The file of `--tokens`: an object that maps principals to bearer tokens.
 */
import * as JsonDocument from "@mcp-sessions/core/JsonDocument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { UsageError } from "../Failure.ts"
import { isJsonObject, textOf } from "../internal/text.ts"
import { readFlagFile } from "./flagFile.ts"

/** The shortest bearer token that a gateway accepts, in characters. */
const shortestToken = 16

const example = "{ \"alice\": \"a-long-random-text\" }"

/** Finds the problems of tokens. No problem quotes a token. */
const problemsOf = (tokens: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const owners = new Map<string, string>()
  const entries = Object.entries(tokens)
  if (entries.length === 0) return ["contains no token; add one, or omit --tokens"]
  return entries.flatMap(([principal, value]) => {
    const token = textOf(value)
    const name = JSON.stringify(principal)
    if (token === undefined) return [`the token of ${name} must be a text`]
    if (token.length < shortestToken || /\s/.test(token)) {
      return [`the token of ${name} must have ${shortestToken} characters or more and no spaces`]
    }
    const owner = owners.get(token)
    if (owner !== undefined) return [`${JSON.stringify(owner)} and ${name} have the same token`]
    owners.set(token, principal)
    return []
  })
}

/** Reads the bearer tokens of a file, by the names of their principals. An error never quotes a token. */
export const readTokens = Effect.fnUntraced(function*(path: string) {
  const text = yield* readFlagFile({ flag: "tokens", path })
  const where = `--tokens ${path}`
  const tokens = yield* Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))(text), () => {
    const fault = JsonDocument.faultOf(text)
    const at = fault === undefined ? "" : ` at line ${fault.line}, column ${fault.column}`
    return new UsageError({ problems: [`${where}: syntax error${at}; expected JSON such as ${example}`] })
  })
  if (!isJsonObject(tokens)) {
    const problem = `${where}: expected an object with a token for each principal, such as ${example}`
    return yield* new UsageError({ problems: [problem] })
  }
  const [first, ...rest] = problemsOf(tokens).map((problem) => `${where}: ${problem}`)
  if (first !== undefined) return yield* new UsageError({ problems: [first, ...rest] })
  return Object.fromEntries(
    Object.entries(tokens).flatMap(([name, token]) => typeof token === "string" ? [[name, Redacted.make(token)]] : [])
  )
})

/** Refuses operators that have no token, if tokens are the only way to sign in. */
export const checkOperators = ({ issuer, operator, principals }: {
  readonly operator: ReadonlyArray<string>
  readonly principals: Readonly<Record<string, unknown>> | undefined
  readonly issuer: Option.Option<string>
}): Effect.Effect<void, UsageError> => {
  const unknown = Option.isSome(issuer) ? [] : operator.filter((name) => !Object.hasOwn(principals ?? {}, name))
  const [first, ...rest] = unknown.map((name) => `--operator: ${JSON.stringify(name)} is not a principal of --tokens`)
  return first === undefined ? Effect.void : Effect.fail(new UsageError({ problems: [first, ...rest] }))
}
