/**
 * Typed failures of configuration.
 *
 * Everything that is wrong with a configuration is found in one pass and reported in one {@link ConfigError}. Each
 * problem says where it is (`source`, `server`, JSON `path`), what was expected there, and which names would have been
 * valid. Values are never quoted, because any of them may be a secret; the names of keys, servers, transports and
 * variables are.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const where = {
  /** The file, or whatever else the configuration came from. */
  source: Schema.optional(Schema.String),
  /** The name of the server definition, where the problem lies in one. */
  server: Schema.optional(Schema.String),
  /** The keys that lead to the problem, outermost first. Empty: the document itself. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Finite]))
}

const names = Schema.Array(Schema.String)

const oneOf = (validNames: ReadonlyArray<string>): string =>
  validNames.length === 0
    ? "none: there are none"
    : validNames.length === 1
    ? `${validNames[0]}`
    : `one of ${validNames.join(", ")}`

/**
 * A definition names no transport.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingTransport extends Schema.TaggedClass<MissingTransport>("@mcp-sessions/core/MissingTransport")(
  "MissingTransport",
  { ...where, validNames: names }
) {
  get description(): string {
    return `no transport given, expected "transport": ${oneOf(this.validNames)}`
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
    return `unsupported transport ${JSON.stringify(this.transport)}, expected ${oneOf(this.validNames)}`
  }
}

/**
 * A key that this transport cannot do without is absent.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingKey extends Schema.TaggedClass<MissingKey>("@mcp-sessions/core/MissingKey")(
  "MissingKey",
  { ...where, key: Schema.String, expected: Schema.String }
) {
  get description(): string {
    return `missing ${JSON.stringify(this.key)}, expected ${this.expected}`
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
    return `unknown key ${JSON.stringify(this.key)}, expected ${oneOf(this.validNames)}`
  }
}

/**
 * A key that exists, but for another transport: `headers` on stdio, `args` on streamable_http.
 *
 * @category problems
 * @since 0.1.0
 */
export class MisplacedKey extends Schema.TaggedClass<MisplacedKey>("@mcp-sessions/core/MisplacedKey")(
  "MisplacedKey",
  { ...where, key: Schema.String, transport: Schema.String, appliesTo: names }
) {
  get description(): string {
    return `${JSON.stringify(this.key)} does not apply to ${this.transport}, only to ${this.appliesTo.join(", ")}`
  }
}

/**
 * The same key given twice under two of its names.
 *
 * @category problems
 * @since 0.1.0
 */
export class ConflictingKeys extends Schema.TaggedClass<ConflictingKeys>("@mcp-sessions/core/ConflictingKeys")(
  "ConflictingKeys",
  { ...where, keys: names }
) {
  get description(): string {
    return `${this.keys.map((key) => JSON.stringify(key)).join(" and ")} mean the same, expected one of them`
  }
}

/**
 * A URL that does not parse, has another scheme than the transport needs, or carries credentials.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidUrl extends Schema.TaggedClass<InvalidUrl>("@mcp-sessions/core/InvalidUrl")(
  "InvalidUrl",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return `bad URL, expected ${this.expected}`
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
    return `bad duration, expected ${this.expected}`
  }
}

/**
 * A header that the transport writes itself, from what it knows of the session and the message.
 *
 * @category problems
 * @since 0.1.0
 */
export class ReservedHeader extends Schema.TaggedClass<ReservedHeader>("@mcp-sessions/core/ReservedHeader")(
  "ReservedHeader",
  { ...where, header: Schema.String }
) {
  get description(): string {
    return `the header ${JSON.stringify(this.header)} is the transport's own, expected others`
  }
}

/**
 * A variable that makes a program load other code, or leave out checks, for which the definition would have to say
 * `allowUnsafeEnv: true`.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnsafeVariable extends Schema.TaggedClass<UnsafeVariable>("@mcp-sessions/core/UnsafeVariable")(
  "UnsafeVariable",
  { ...where, variable: Schema.String }
) {
  get description(): string {
    return `the variable ${this.variable} can change what the server runs, expected "allowUnsafeEnv": true beside it`
  }
}

/**
 * Any other value that is not what its key takes.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedClass<InvalidValue>("@mcp-sessions/core/InvalidValue")(
  "InvalidValue",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return `bad value, expected ${this.expected}`
  }
}

/**
 * A program that the policy of the application does not let definitions start. What would be started is shown in full.
 *
 * @category problems
 * @since 0.1.0
 */
export class DisallowedCommand extends Schema.TaggedClass<DisallowedCommand>("@mcp-sessions/core/DisallowedCommand")(
  "DisallowedCommand",
  { ...where, command: Schema.String, args: Schema.Array(Schema.String) }
) {
  get description(): string {
    return `${[this.command, ...this.args].map((word) => JSON.stringify(word)).join(" ")} may not be started here`
  }
}

/**
 * A server name that no definition has.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnknownServer extends Schema.TaggedClass<UnknownServer>("@mcp-sessions/core/UnknownServer")(
  "UnknownServer",
  { ...where, validNames: names }
) {
  get description(): string {
    return `unknown server ${JSON.stringify(this.server ?? "")}, expected ${oneOf(this.validNames)}`
  }
}

/**
 * A server that is configured but switched off with `disabled: true`.
 *
 * @category problems
 * @since 0.1.0
 */
export class DisabledServer extends Schema.TaggedClass<DisabledServer>("@mcp-sessions/core/DisabledServer")(
  "DisabledServer",
  where
) {
  get description(): string {
    return `the server ${JSON.stringify(this.server ?? "")} is disabled`
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
    return `the variable ${this.variable} is not set and has no default, expected it set, or \${${this.variable}:-default}`
  }
}

/**
 * A configuration document that is not there, or cannot be read.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingDocument extends Schema.TaggedClass<MissingDocument>("@mcp-sessions/core/MissingDocument")(
  "MissingDocument",
  { ...where, expected: Schema.String }
) {
  get description(): string {
    return `no configuration found, expected ${this.expected}`
  }
}

/**
 * A configuration document that is not well formed, or holds something else.
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
    const at = this.position === undefined ? "" : ` at line ${this.position.line}, column ${this.position.column}`
    return `bad document${at}, expected ${this.expected}`
  }
}

/**
 * One thing that is wrong with a configuration.
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
  InvalidDocument
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
 * Error of configuration: all problems that one pass found, in the order of the document.
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
    return this.problems.map(({ description, path, source }) =>
      [...(source === undefined ? [] : [source]), ...(path.length === 0 ? [] : [jsonPath(path)]), description].join(
        ": "
      )
    ).join("\n")
  }
}
