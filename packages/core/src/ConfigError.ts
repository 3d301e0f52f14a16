/**
 * Typed failures of configuration.
 *
 * One pass finds every problem of a configuration and reports all of them in one {@link ConfigError}. Each problem names
 * where it is (`source`, `position`, `server`, JSON `path`), what the value must be, and the names that are valid there.
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
import { adviceFor, at, type Described, names, Position, subjectOf, where } from "./internal/config/place.ts"

interface Expecting {
  readonly path: ReadonlyArray<string | number>
  readonly expected: string
}

const mustBe = ({ expected, path }: Expecting): string => `${subjectOf(path)} must be ${expected}`

/**
 * A definition has none of `transport`, `command` and `url`, which decide its transport.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingTransport extends Schema.TaggedClass<MissingTransport>("@mcp-sessions/core/MissingTransport")(
  "MissingTransport",
  { ...where, validNames: names }
) implements Described {
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
  implements Described
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
  {
    ...where,
    expected: Schema.String,
    /** The unit of a number at this key; default: milliseconds. */
    unit: Schema.optional(Schema.Literals(["milliseconds", "seconds"]))
  }
) implements Described {
  get description(): string {
    return `${mustBe(this)}, written as ${this.unit ?? "milliseconds"} or as text such as "20 seconds"`
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
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
) implements Described {
  get description(): string {
    const { variable } = this
    return `the variable ${variable} is not set; set it, or give a default with \${${variable}:-default}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A `Config` in a definition that gives no value. `setting` is the path that it reads from the `ConfigProvider`, joined by dots; absent if the
 * provider itself failed, or the `Config` died. What it threw is not shown: it may hold what was read.
 *
 * @category problems
 * @since 0.1.0
 */
export class UnresolvedConfig extends Schema.TaggedClass<UnresolvedConfig>("@mcp-sessions/core/UnresolvedConfig")(
  "UnresolvedConfig",
  { ...where, setting: Schema.optional(Schema.String) }
) implements Described {
  get description(): string {
    return this.setting === undefined
      ? "the ConfigProvider failed, or the Config itself"
      : `the setting ${this.setting} is missing, or is not what its Config takes`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A configuration document that does not exist or cannot be read. Without a `source`, no document was found.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingDocument extends Schema.TaggedClass<MissingDocument>("@mcp-sessions/core/MissingDocument")(
  "MissingDocument",
  { ...where, fact: Schema.String }
) implements Described {
  get description(): string {
    return this.source === undefined ? this.fact : `the configuration cannot be read: ${this.fact}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A configuration document with a syntax error.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidSyntax extends Schema.TaggedClass<InvalidSyntax>("@mcp-sessions/core/InvalidSyntax")(
  "InvalidSyntax",
  { ...where, expected: Schema.String }
) implements Described {
  get description(): string {
    return `syntax error; expected ${this.expected}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A configuration document with content other than server definitions.
 *
 * @category problems
 * @since 0.1.0
 */
export class InvalidDocument extends Schema.TaggedClass<InvalidDocument>("@mcp-sessions/core/InvalidDocument")(
  "InvalidDocument",
  { ...where, expected: Schema.String }
) implements Described {
  get description(): string {
    return `the document must be ${this.expected}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

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
    /** Position of the first occurrence. `position` is that of the second one. */
    first: Position
  }
) implements Described {
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
  where
) implements Described {
  get description(): string {
    return `${subjectOf(this.path)} cannot be used as a name`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * An `${input:id}` whose value nobody gave.
 *
 * @category problems
 * @since 0.1.0
 */
export class MissingInput extends Schema.TaggedClass<MissingInput>("@mcp-sessions/core/MissingInput")(
  "MissingInput",
  { ...where, id: Schema.String, variable: Schema.String }
) implements Described {
  get description(): string {
    return `the input ${JSON.stringify(this.id)} has no value; set the variable ${this.variable}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A project file whose entry would start a program, or send the values of variables to a server, and which the user has not trusted.
 *
 * @category problems
 * @since 0.1.0
 */
export class UntrustedFile extends Schema.TaggedClass<UntrustedFile>("@mcp-sessions/core/UntrustedFile")(
  "UntrustedFile",
  {
    ...where,
    /** Whether the entry starts a program, changes who receives credentials, or sends values of variables. */
    effect: Schema.Literals(["program", "security", "values"]),
    /** Why it is unknown whether the file is trusted. */
    fact: Schema.optional(Schema.String)
  }
) implements Described {
  get description(): string {
    const { effect, fact, source = "the file" } = this
    const what = effect === "program"
      ? "starts a program"
      : effect === "security"
      ? "changes how a server is trusted or reached"
      : "sends values of variables to a server"
    const unknown = fact === undefined ? "" : ` (${fact})`
    return `${source} is a project file that is not trusted, and this entry ${what}${unknown}; read the file, then run "mcp-sessions config trust" or name the file explicitly`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A name under which several files have different definitions.
 *
 * @category problems
 * @since 0.1.0
 */
export class AmbiguousServer extends Schema.TaggedClass<AmbiguousServer>("@mcp-sessions/core/AmbiguousServer")(
  "AmbiguousServer",
  { ...where, candidates: names }
) implements Described {
  get description(): string {
    const { candidates, server = "" } = this
    return `the name ${JSON.stringify(server)} means different servers; use ${
      orList(candidates.map((name) => JSON.stringify(name)))
    }`
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
  | UnresolvedConfig
  | MissingInput
  | UntrustedFile
  | AmbiguousServer
  | MissingDocument
  | InvalidSyntax
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
  UnresolvedConfig,
  MissingInput,
  UntrustedFile,
  AmbiguousServer,
  MissingDocument,
  InvalidSyntax,
  InvalidDocument,
  DuplicateKey,
  ReservedKey
])

export {
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
  jsonPath
} from "./internal/config/place.ts"

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
