/**
 * Typed failures of configuration.
 *
 * One pass finds every problem of a configuration and reports all of them in one {@link ConfigError}. Each problem names
 * where it is (`source`, `server`, JSON `path`), what the value must be, and the names that are valid there.
 *
 * **Details**
 *
 * `description` states the problem alone, for programs that show the place themselves. `message` is the same sentence with
 * source, server and JSON path in front.
 *
 * **Gotchas**
 *
 * Messages quote the names of keys, servers, transports, headers, variables and programs, and never a value, because any
 * value may be a secret.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { andList, orList } from "./internal/config/nameList.ts"
import { closest } from "./Suggestion.ts"

const where = {
  /** The file or other origin of the configuration. */
  source: Schema.optional(Schema.String),
  /** The name of the server definition that has the problem. */
  server: Schema.optional(Schema.String),
  /** The keys that lead to the problem, outermost first. Empty: the document itself. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Finite]))
}

interface Place {
  readonly source?: string | undefined
  readonly server?: string | undefined
  readonly path: ReadonlyArray<string | number>
}

const names = Schema.Array(Schema.String)

/** Puts the place in front of a description. A problem without a path names its server in the description. */
const at = ({ path, server, source }: Place, description: string): string => {
  const inServer = server === undefined ? "" : `server ${JSON.stringify(server)} at `
  return [
    ...(source === undefined ? [] : [source]),
    ...(path.length === 0 ? [] : [`${inServer}${jsonPath(path)}`]),
    description
  ].join(": ")
}

/** The valid name that is probably meant, or else all of them. */
const adviceFor = (name: string, validNames: ReadonlyArray<string>, listed: string): string => {
  const suggestion = closest(name, validNames)
  return suggestion === undefined ? `${listed} ${andList(validNames)}` : `did you mean ${JSON.stringify(suggestion)}?`
}

/** The last key of a path, with the index where it leads into a list. */
const subjectOf = (path: ReadonlyArray<string | number>): string => {
  const last = path.at(-1)
  return last === undefined
    ? "the value"
    : typeof last === "number"
    ? JSON.stringify(`${path.at(-2) ?? ""}[${last}]`)
    : JSON.stringify(last)
}

const mustBe = ({ expected, path }: Place & { readonly expected: string }): string =>
  `${subjectOf(path)} must be ${expected}`

/**
 * A definition has none of `transport`, `command` and `url`, which decide its transport.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingTransport extends Schema.TaggedClass<MissingTransport>("@mcp-sessions/core/MissingTransport")(
  "MissingTransport",
  { ...where, validNames: names }
) {
  get description(): string {
    return `the transport is missing; set "command", "url" or "transport" (${orList(this.validNames)})`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A definition names a transport that does not exist, or that the transports in use cannot open.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnsupportedTransport
  extends Schema.TaggedClass<UnsupportedTransport>("@mcp-sessions/core/UnsupportedTransport")(
    "UnsupportedTransport",
    { ...where, transport: Schema.String, validNames: names }
  )
{
  get description(): string {
    return `the transport ${JSON.stringify(this.transport)} is not supported; use ${orList(this.validNames)}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A key that the transport requires is absent.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingKey extends Schema.TaggedClass<MissingKey>("@mcp-sessions/core/MissingKey")(
  "MissingKey",
  { ...where, key: Schema.String, expected: Schema.String }
) {
  get description(): string {
    return `${JSON.stringify(this.key)} is missing; it must be ${this.expected}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A key that no transport has.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnknownKey extends Schema.TaggedClass<UnknownKey>("@mcp-sessions/core/UnknownKey")(
  "UnknownKey",
  { ...where, key: Schema.String, validNames: names }
) {
  get description(): string {
    const { key, validNames } = this
    return `the key ${JSON.stringify(key)} is unknown; ${adviceFor(key, validNames, "the valid keys are")}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A key of another transport: `headers` on stdio, `args` on streamable_http.
 *
 * @category problems
 * @since 0.1.0
 */
export class MisplacedKey extends Schema.TaggedClass<MisplacedKey>("@mcp-sessions/core/MisplacedKey")(
  "MisplacedKey",
  { ...where, key: Schema.String, transport: Schema.String, appliesTo: names }
) {
  get description(): string {
    return `${JSON.stringify(this.key)} applies to ${andList(this.appliesTo)} servers, not to ${this.transport} servers`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * Two keys that give the same setting.
 *
 * @category problems
 * @since 0.1.0
 */
export class ConflictingKeys extends Schema.TaggedClass<ConflictingKeys>("@mcp-sessions/core/ConflictingKeys")(
  "ConflictingKeys",
  { ...where, keys: names }
) {
  get description(): string {
    return `${andList(this.keys.map((key) => JSON.stringify(key)))} give the same setting; keep one of them`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A URL that does not parse, has a scheme that the transport cannot use, or carries credentials.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidUrl extends Schema.TaggedClass<InvalidUrl>("@mcp-sessions/core/InvalidUrl")(
  "InvalidUrl",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return mustBe(this)
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A duration that does not parse or lies outside its bounds.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidDuration extends Schema.TaggedClass<InvalidDuration>("@mcp-sessions/core/InvalidDuration")(
  "InvalidDuration",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return `${mustBe(this)}, written as milliseconds or as text such as "20 seconds"`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * Any other value that its key does not accept.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedClass<InvalidValue>("@mcp-sessions/core/InvalidValue")(
  "InvalidValue",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return mustBe(this)
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A header that the transport writes itself, from the state of the session and the message.
 *
 * @category problems
 * @since 0.1.0
 */
export class ReservedHeader extends Schema.TaggedClass<ReservedHeader>("@mcp-sessions/core/ReservedHeader")(
  "ReservedHeader",
  { ...where, header: Schema.String }
) {
  get description(): string {
    return `the transport sets the header ${JSON.stringify(this.header)} itself; remove it`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A variable that makes a program load other code or skip checks, in a definition without `allowUnsafeEnv: true`.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnsafeVariable extends Schema.TaggedClass<UnsafeVariable>("@mcp-sessions/core/UnsafeVariable")(
  "UnsafeVariable",
  { ...where, variable: Schema.String }
) {
  get description(): string {
    return `the variable ${this.variable} can change which code the server runs; set "allowUnsafeEnv": true to allow it`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A program that the application does not allow definitions to start. `args` is for a program that asks its user. It is redacted, because
 * arguments may hold secrets.
 *
 * @category problems
 * @since 0.1.0
 */
export class DisallowedCommand extends Schema.TaggedClass<DisallowedCommand>("@mcp-sessions/core/DisallowedCommand")(
  "DisallowedCommand",
  { ...where, command: Schema.String, args: Schema.Redacted(Schema.Array(Schema.String)) }
) {
  get description(): string {
    return `this application does not allow the command ${JSON.stringify(this.command)}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A server name that the configuration does not have.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnknownServer extends Schema.TaggedClass<UnknownServer>("@mcp-sessions/core/UnknownServer")(
  "UnknownServer",
  { ...where, validNames: names }
) {
  get description(): string {
    const { server = "", validNames } = this
    const valid = validNames.length === 0
      ? "the configuration is empty"
      : adviceFor(server, validNames, "the valid names are")
    return `the server ${JSON.stringify(server)} is not configured; ${valid}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A server whose definition says `disabled: true`.
 *
 * @category problems
 * @since 0.1.0
 */
export class DisabledServer extends Schema.TaggedClass<DisabledServer>("@mcp-sessions/core/DisabledServer")(
  "DisabledServer",
  where
) {
  get description(): string {
    return `the server ${JSON.stringify(this.server ?? "")} is disabled in its definition`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A `${VARIABLE}` without a default that the environment does not have.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingVariable extends Schema.TaggedClass<MissingVariable>("@mcp-sessions/core/MissingVariable")(
  "MissingVariable",
  { ...where, variable: Schema.String }
) {
  get description(): string {
    const { variable } = this
    return `the variable ${variable} is not set; set it, or give a default with \${${variable}:-default}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A configuration document that does not exist or cannot be read.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingDocument extends Schema.TaggedClass<MissingDocument>("@mcp-sessions/core/MissingDocument")(
  "MissingDocument",
  { ...where, fact: Schema.String }
) {
  get description(): string {
    return `the configuration cannot be read: ${this.fact}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A configuration document with a syntax error, or with content other than server definitions.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidDocument extends Schema.TaggedClass<InvalidDocument>("@mcp-sessions/core/InvalidDocument")(
  "InvalidDocument",
  {
    ...where,
    expected: Schema.String,
    /** Position of the first syntax error, both counted from 1. */
    position: Schema.optional(Schema.Struct({ line: Schema.Int, column: Schema.Int }))
  }
) {
  get description(): string {
    const { expected, position } = this
    return position === undefined
      ? `the document must be ${expected}`
      : `syntax error at line ${position.line}, column ${position.column}; expected ${expected}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

const position = Schema.Struct({ line: Schema.Int, column: Schema.Int })

/**
 * A key that one object of a document has twice. Only one of the two values could apply, and the other would be lost.
 *
 * @category problems
 * @since 0.1.0
 */
export class DuplicateKey extends Schema.TaggedClass<DuplicateKey>("@mcp-sessions/core/DuplicateKey")(
  "DuplicateKey",
  {
    ...where,
    /** Position of the second occurrence, both counted from 1. */
    position,
    /** Position of the first occurrence. */
    first: position
  }
) {
  get description(): string {
    const { first, path } = this
    return `${subjectOf(path)} is given twice; the first is at line ${first.line}, column ${first.column}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A key that no document can have, because it is a property of every object: `__proto__`.
 *
 * @category problems
 * @since 0.1.0
 */
export class ReservedKey extends Schema.TaggedClass<ReservedKey>("@mcp-sessions/core/ReservedKey")(
  "ReservedKey",
  {
    ...where,
    /** Position of the key, both counted from 1. */
    position
  }
) {
  get description(): string {
    return `${subjectOf(this.path)} cannot be used as a name`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * One problem of a configuration.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfigProblem =
  | MissingTransport
  | UnsupportedTransport
  | MissingKey
  | UnknownKey
  | MisplacedKey
  | ConflictingKeys
  | InvalidUrl
  | InvalidDuration
  | ReservedHeader
  | UnsafeVariable
  | DisallowedCommand
  | InvalidValue
  | UnknownServer
  | DisabledServer
  | MissingVariable
  | MissingDocument
  | InvalidDocument
  | DuplicateKey
  | ReservedKey

/**
 * Schema of {@link ConfigProblem}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ConfigProblem = Schema.Union([
  MissingTransport,
  UnsupportedTransport,
  MissingKey,
  UnknownKey,
  MisplacedKey,
  ConflictingKeys,
  InvalidUrl,
  InvalidDuration,
  ReservedHeader,
  UnsafeVariable,
  DisallowedCommand,
  InvalidValue,
  UnknownServer,
  DisabledServer,
  MissingVariable,
  MissingDocument,
  InvalidDocument,
  DuplicateKey,
  ReservedKey
])

/**
 * Renders the place of a problem as a JSON path, such as `$.mcpServers.files.env["API KEY"]`.
 *
 * **Example** (Reading where a problem lies)
 *
 * ```ts import.meta.vitest
 * import { ConfigError } from "@mcp-sessions/core"
 *
 * ConfigError.jsonPath(["servers", "files", "args", 0]) // => "$.servers.files.args[0]"
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const jsonPath = (path: ReadonlyArray<string | number>): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === "string" && /^[A-Za-z_$][\w$]*$/.test(key)
        ? `${text}.${key}`
        : `${text}[${JSON.stringify(key)}]`,
    "$"
  )

/**
 * Error of configuration: every problem that one pass found, in the order of the document.
 *
 * **Example** (Reading all problems at once)
 *
 * ```ts import.meta.vitest
 * import { ServerConfig } from "@mcp-sessions/core"
 * import { Effect } from "effect"
 *
 * const error = await Effect.runPromise(Effect.flip(ServerConfig.decodeServers({
 *   servers: { files: { transport: "stdio", args: "none", headers: {} } }
 * })))
 * error.problems.map((problem) => problem._tag) // => ["InvalidValue", "MisplacedKey", "MissingKey"]
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigError extends Schema.TaggedError<ConfigError>("@mcp-sessions/core/ConfigError")("ConfigError", {
  problems: Schema.NonEmptyArray(ConfigProblem)
}) {
  override get message(): string {
    return this.problems.map(({ message }) => message).join("\n")
  }
}
