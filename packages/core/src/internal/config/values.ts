/**
 * Schemas of option values: durations, whole numbers, choices, text, URLs, secrets. Each carries its expectation, the text
 * that completes "must be …" in error messages and fills the tables of the documentation.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as JsonSchema from "effect/JsonSchema"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidDuration, InvalidUrl, InvalidValue } from "../../ConfigError.ts"
import { orList } from "./nameList.ts"

// -----------------------------------------------------------------------------
// Expectations
// -----------------------------------------------------------------------------

const problems = { InvalidDuration, InvalidUrl, InvalidValue }

/** The text that completes "must be …", and the problem that carries it. */
export interface Expectation {
  readonly text: string
  readonly problem: keyof typeof problems
}

const annotation = "@mcp-sessions/core/expectation"

type Annotation = { readonly [annotation]: Expectation }

/** Annotates a schema with its expectation. */
export const expecting = (text: string): Annotation => ({ [annotation]: { text, problem: "InvalidValue" } })

/** Annotates the schema of a duration with its expectation. */
export const expectingDuration = (text: string): Annotation => ({ [annotation]: { text, problem: "InvalidDuration" } })

const expectingUrl = (text: string): Annotation => ({ [annotation]: { text, problem: "InvalidUrl" } })

const namesAnnotation = "@mcp-sessions/core/expectationOfNames"

const expectationIn = (annotations: { readonly [key: string]: unknown } | undefined): Expectation | undefined =>
  annotations?.[annotation] as Expectation | undefined

/** The expectation of a schema. */
export const expectationOf = (schema: { readonly ast: SchemaAST.AST }): Expectation | undefined =>
  expectationIn(SchemaAST.resolve(schema.ast))

/** Annotates a member of an object with its expectation, which explains its absence. */
export const member = <S extends Schema.Top>(schema: S) =>
  schema.pipe(Schema.annotateKey({ [annotation]: expectationOf(schema) }))

interface Fault {
  readonly path: ReadonlyArray<string | number>
  readonly expectation: Expectation
}

/** The innermost expectation on the way to a fault explains it best. */
const faultsIn = (issue: SchemaIssue.Issue, { expectation, path }: Fault): ReadonlyArray<Fault> => {
  const within = (annotations: { readonly [key: string]: unknown } | undefined): Fault => ({
    path,
    expectation: expectationIn(annotations) ?? expectation
  })
  switch (issue._tag) {
    case "Pointer": {
      const below = issue.path.map((key) => typeof key === "symbol" ? String(key) : key)
      return faultsIn(issue.issue, { path: [...path, ...below], expectation })
    }
    case "Composite": {
      const inner = within(SchemaAST.resolve(issue.ast))
      return issue.issues.flatMap((issue) => faultsIn(issue, inner))
    }
    case "Filter": {
      const { annotations } = issue.filter
      const ofNames = annotations?.[namesAnnotation]
      return faultsIn(issue.issue, within(typeof ofNames === "string" ? expecting(ofNames) : annotations))
    }
    case "Encoding":
      return faultsIn(issue.issue, within(SchemaAST.resolve(issue.ast)))
    case "MissingKey":
      return [within(issue.annotations)]
    case "InvalidType":
    case "AnyOf":
    case "OneOf":
      return [within(SchemaAST.resolve(issue.ast))]
    default:
      return [{ path, expectation }]
  }
}

/** Decodes a value, or fails with a problem for each path at which it is not what the schema expects. */
export const decodeValue = <A>(options: {
  readonly schema: Schema.ConstraintDecoder<A>
  readonly value: unknown
  readonly expectation: Expectation
  /** What becomes of members that the schema does not have. Default: `"error"`. */
  readonly unknownMembers?: "error" | "ignore"
  readonly place: {
    readonly source: string | undefined
    readonly server: string | undefined
    readonly path: ReadonlyArray<string | number>
  }
}): Result.Result<
  A,
  ReadonlyArray<InvalidDuration | InvalidUrl | InvalidValue>
> => {
  const { expectation, place, schema, unknownMembers = "error", value } = options
  const decoded = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: unknownMembers })(value)
  return Result.mapError(decoded, ({ issue }) => {
    // One value may fail more than one check; it is one problem.
    const faults = new Map(faultsIn(issue, { path: [], expectation }).map((fault) => [fault.path.join("\0"), fault]))
    return Array.from(
      faults.values(),
      ({ expectation: { problem, text }, path }) =>
        new problems[problem]({ ...place, path: [...place.path, ...path], expected: text })
    )
  })
}

// -----------------------------------------------------------------------------
// Numbers and choices
// -----------------------------------------------------------------------------

/** A bound or default of a duration: milliseconds, or text that reads well in a sentence. */
type DurationBound = number | `${number} ${"seconds" | "minute" | "minutes" | "hour" | "hours" | "days"}`

/** The text of a bound or default. */
export const durationText = (bound: DurationBound): string =>
  typeof bound === "string" ? bound : bound === 0 ? "0" : `${bound} ms`

/** The annotation with the bounds of a duration. */
export const durationAnnotation = "@mcp-sessions/core/duration"

/** The bounds of a duration. */
export interface DurationBounds {
  readonly minimum: DurationBound
  readonly maximum: DurationBound
}

const durationFrom = <S extends Schema.Codec<unknown, unknown>>(inputs: S, { maximum, minimum }: DurationBounds) => {
  const bounds = { minimum: Duration.fromInputUnsafe(minimum), maximum: Duration.fromInputUnsafe(maximum) }
  const expectation = expectingDuration(`a duration from ${durationText(minimum)} to ${durationText(maximum)}`)
  return inputs.pipe(
    Schema.decodeTo(Schema.Duration, {
      decode: SchemaGetter.transformEffect((input: S["Type"]) =>
        Effect.fromOption(Duration.fromInput(input as Duration.Input)).pipe(
          Effect.mapError(() => new SchemaIssue.InvalidValue(undefined))
        )
      ),
      encode: SchemaGetter.transform((value: Duration.Duration): S["Type"] => value)
    }),
    Schema.check(Schema.makeFilter((value: Duration.Duration) => Duration.between(value, bounds), expectation))
  )
}

/** Schema of a duration in a server definition, within bounds that are both inclusive. Numbers are milliseconds. */
export const duration = (bounds: DurationBounds) =>
  durationFrom(
    Schema.Union([Schema.Duration, Schema.Finite, Schema.String]).annotate({ [durationAnnotation]: bounds }),
    bounds
  )

/** Schema of a duration that a program gives, within bounds that are both inclusive. Numbers are milliseconds. */
export const durationInput = (bounds: DurationBounds) => durationFrom(Schema.Unknown, bounds)

/** The longest time that a timer waits for, in milliseconds: some thousand centuries. */
const longestTime = Number.MAX_SAFE_INTEGER

/**
 * The milliseconds of a duration that a program gives: finite and not negative, so that they can be added to a time, compared and shown.
 * `undefined` if the value is no duration.
 */
export const millisOf = (input: unknown): number | undefined => {
  if (typeof input === "number") {
    return Number.isNaN(input) ? undefined : Math.min(Math.max(input, 0), longestTime)
  }
  const duration = Option.getOrUndefined(Duration.fromInput(input as Duration.Input))
  return duration === undefined ? undefined : millisOf(Duration.toMillis(duration))
}

/** Schema of a whole number within bounds, both inclusive. */
export const wholeNumber = ({ maximum, minimum }: { readonly minimum: number; readonly maximum: number }) =>
  Schema.Int.check(
    Schema.isBetween({ minimum, maximum }, expecting(`a whole number from ${minimum} to ${maximum}`))
  )

/** Schema of `true` and `false`. */
export const boolean = Schema.Boolean.annotate(expecting("true or false"))

/** Schema of one of several names. */
export const oneOf = <const Names extends ReadonlyArray<string>>(names: Names) =>
  Schema.Literals(names).annotate(expecting(orList(names.map((name) => JSON.stringify(name)))))

// -----------------------------------------------------------------------------
// Text
// -----------------------------------------------------------------------------

/** The source of a pattern without flags, for JSON Schema: letters in either case where the pattern ignores it. */
export const portable = ({ ignoreCase, source }: RegExp): string =>
  ignoreCase
    ? source.replaceAll(/\\.|[a-z]/gi, (part) =>
      part.length === 1 ? `[${part.toUpperCase()}${part.toLowerCase()}]` : part)
    : source

/** Schema of text that matches a pattern. */
export const text = ({ expected, pattern }: { readonly pattern: RegExp; readonly expected: string }) =>
  Schema.String.check(Schema.isPattern(pattern, {
    ...expecting(expected),
    toJsonSchema: () => ({ pattern: portable(pattern) })
  }))

/** Schema of non-empty text. */
export const nonEmptyText = text({ pattern: /^[^\0]+$/, expected: "a non-empty string without NUL characters" })

/** Schema of a process argument or the value of a variable. The system call would reject a NUL without naming the value. */
export const argument = text({ pattern: /^[^\0]*$/, expected: "a string without NUL characters" })

/**
 * Schema of a header's value.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-field-values the error of the HTTP client quotes a bad value, so a bad value must not get that far
 */
export const headerValue = text({
  pattern: /^(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?$/,
  expected: "a string of Latin-1 characters without control characters"
})

/** Schema of a URL without credentials. */
export const url = ({ expected, scheme }: { readonly scheme: string; readonly expected: string }) => {
  const pattern = new RegExp(`^${scheme}://[^/?#@\\s]+(?:[/?#]\\S*)?$`, "i")
  return Schema.String.check(
    Schema.isPattern(
      pattern,
      { ...expectingUrl(expected), toJsonSchema: () => ({ pattern: portable(pattern) }) }
    ),
    Schema.makeFilter(
      (value: string) => Result.isSuccess(Schema.decodeResult(Schema.URLFromString)(value)),
      expectingUrl(expected)
    )
  )
}

// -----------------------------------------------------------------------------
// Secrets by name
// -----------------------------------------------------------------------------

/** Schema of text that is redacted from decoding on. Programs may pass it redacted already. */
export const secret = (value: ReturnType<typeof text>) =>
  Schema.Union([Schema.RedactedFromValue(value), Schema.Redacted(value)]).annotate(
    expecting(expectationOf(value)?.text ?? "a string")
  )

/** Schema of an object of secrets. A record of checked keys would drop the entries whose names do not pass. */
export const secrets = <S extends Schema.Top>(options: {
  readonly member: S
  readonly expected: string
  readonly isName: (name: string) => boolean
  readonly expectedName: string
}) => {
  const { expected, expectedName, isName, member } = options
  return Schema.Record(Schema.String, member).pipe(
    Schema.check(Schema.makeFilter(
      (record: Readonly<Record<string, unknown>>) =>
        Object.keys(record).filter((name) => !isName(name)).map((name) => ({ path: [name], issue: "name" })),
      { ...expecting(expected), [namesAnnotation]: expectedName }
    ))
  )
}

/** The headers that the transports write. A definition that sets one would contradict the session or the message. */
const reservedHeaders = new Set([
  "accept",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "sec-websocket-version",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** Whether the transports write a header themselves. */
export const isReservedHeader = (name: string): boolean => reservedHeaders.has(name.toLowerCase())

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether a definition may send a header of this name. */
export const isHeaderName = (name: string): boolean => headerName.test(name) && !isReservedHeader(name)

/** The names that {@link isHeaderName} accepts. */
export const headerNames: JsonSchema.JsonSchema = {
  pattern: headerName.source,
  not: { pattern: portable(new RegExp(`^(?:${[...reservedHeaders].join("|")})$`, "i")) }
}

// eslint-disable-next-line no-control-regex
const variableName = /^[^\0=]+$/

/** Whether the operating system accepts a variable of this name. */
export const isVariableName = (name: string): boolean => variableName.test(name)

/** The names that {@link isVariableName} accepts. */
export const variableNames: JsonSchema.JsonSchema = { pattern: variableName.source }

/** Whether interpreters or linkers take a variable as an order to load other code or to skip checks. */
export const isUnsafeVariable = (name: string): boolean => unsafeVariable.test(name)

/** The names of unsafe variables. */
export const unsafeVariable =
  /^(?:BASH_ENV|DYLD_.+|JAVA_TOOL_OPTIONS|LD_(?:AUDIT|LIBRARY_PATH|PRELOAD)|NODE_OPTIONS|NODE_TLS_REJECT_UNAUTHORIZED|PERL5OPT|PYTHONSTARTUP|RUBYOPT)$/i
