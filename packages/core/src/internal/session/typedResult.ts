/**
 * Typed results: decodes what a tool returned with the schema of the caller. The tool has run, so every failure here is `Answered`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { CallToolResult } from "../../Mcp.ts"
import { structured, text } from "../../Mcp.ts"
import { InvalidResult, type Reason, SessionError, ToolFailed } from "../../SessionError.ts"

/** The place of a call, for errors. */
interface Called {
  readonly server: string
  readonly tool: string
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const parseText = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** The structured content of a result. Servers of older revisions have none, and return JSON as text. */
const valueOf = (result: CallToolResult): unknown => {
  const content = structured(result)
  return content === undefined ? Option.getOrUndefined(parseText(text(result))) : content
}

/** A key of a path of Standard Schema. */
const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === "object" ? segment.key : segment)

/** The longest path that an error shows, in characters. Keys of a path may come from the server. */
const maxPathLength = 200

/** A path as an error shows it. */
const pathOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string => {
  const text = path.map(keyOf).join(".")
  return JSON.stringify(text.length > maxPathLength ? `${text.slice(0, maxPathLength)}…` : text)
}

/**
 * The reason for which a result does not fit a schema. It names places and no values.
 */
export const misfit = (
  { issues, tool }: {
    readonly tool: string
    readonly issues: ReadonlyArray<{
      readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
    }>
  }
): Reason => {
  const paths = new Set(issues.map(({ path = [] }) => pathOf(path)))
  const named = [...paths].filter((path) => path !== "\"\"").slice(0, 5)
  const where = named.length === 0 ? "" : ` at ${named.join(", ")}`
  const description = `the structured result of ${JSON.stringify(tool)} does not fit the schema of the caller${where}`
  return new InvalidResult({ method: "tools/call", description })
}

/** The error of a schema that threw, or that gave no outcome of its kind. The tool has run all the same. */
export const brokenSchema = ({ cause, server, tool }: Called & { readonly cause: unknown }): SessionError =>
  new SessionError({
    server,
    reason: new InvalidResult({
      method: "tools/call",
      description: `the schema of the caller failed on the structured result of ${JSON.stringify(tool)}`,
      cause
    })
  })

/** The value that a schema decodes; a tool error is a failure. */
export const valueToDecode = (
  { result, server, tool }: Called & { readonly result: CallToolResult }
): Effect.Effect<unknown, SessionError> =>
  result.isError === true
    ? Effect.fail(new SessionError({ server, reason: new ToolFailed({ tool, result }) }))
    : Effect.succeed(valueOf(result))

/** Decodes a result with a schema. */
const decodeWith = <A>(
  { result, schema, server, tool }: Called & {
    readonly result: CallToolResult
    readonly schema: Schema.ConstraintDecoder<A>
  }
): Effect.Effect<A, SessionError> =>
  Effect.flatMap(
    valueToDecode({ result, server, tool }),
    (value) =>
      Effect.suspend(() => Schema.decodeUnknownEffect(schema)(value)).pipe(
        Effect.mapError(({ issue }) =>
          new SessionError({ server, reason: misfit({ tool, issues: issuesOf(issue).issues }) })
        ),
        Effect.catchDefect((cause) => Effect.fail(brokenSchema({ cause, server, tool })))
      )
  )

/**
 * Decodes the result of a call. The types of the public operations say what it becomes, by overloads; in here, a result is a result.
 */
export const typed = <E>(
  { called, schema, server, tool }: Called & {
    readonly called: Effect.Effect<CallToolResult, E>
    readonly schema: Schema.ConstraintDecoder<CallToolResult>
  }
): Effect.Effect<CallToolResult, E | SessionError> =>
  Effect.flatMap(called, (result) => decodeWith({ result, schema, server, tool }))
