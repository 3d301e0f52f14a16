/**
 * Schema of one server definition: a union over four transports, with every key bounded, secrets redacted from the moment
 * of decoding, and all problems of a configuration reported at once.
 *
 * **Details**
 *
 * Common names for the same thing are understood: `type` for `transport`; `streamable-http` and `streamableHttp` for
 * `streamable_http`, `http` and `remote` for the same with a fallback to SSE; `local` for `stdio`; `ws` for `websocket`; `httpUrl`, `serverUrl` and `baseUrl` for
 * `url`; `environment` and `envs` for `env`; `enabled: false` for `disabled: true`; `timeout` for `requestTimeout`;
 * `encoding_error_handler` for `encodingErrors`; and a `command` that is a list of the program and its arguments. Durations are milliseconds, strings
 * like `"20 seconds"`, or `Duration`s. Decoding what was decoded changes nothing.
 *
 * **Gotchas**
 *
 * Every key given has an effect or is refused. There is no key for a shell: commands are started directly.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as ConfigError from "./ConfigError.ts"

// -----------------------------------------------------------------------------
// Values
// -----------------------------------------------------------------------------

const duration = (options: { readonly minimum: Duration.Input; readonly maximum: Duration.Input }) =>
  Schema.Union([Schema.Duration, Schema.Finite, Schema.String]).pipe(
    Schema.decodeTo(Schema.Duration, {
      decode: SchemaGetter.transformEffect((input: Duration.Duration | number | string) =>
        Effect.fromOption(Duration.fromInput(input as Duration.Input)).pipe(
          Effect.mapError(() => new SchemaIssue.InvalidValue(undefined))
        )
      ),
      encode: SchemaGetter.transform((value: Duration.Duration): Duration.Duration | number | string => value)
    }),
    Schema.check(Schema.makeFilter((value: Duration.Duration) =>
      Duration.between(value, {
        minimum: Duration.fromInputUnsafe(options.minimum),
        maximum: Duration.fromInputUnsafe(options.maximum)
      })
    ))
  )

/** Secrets may come as text or, from a program that keeps its own, already redacted. */
const secret = (value: Schema.Codec<string, string>) =>
  Schema.Union([Schema.RedactedFromValue(value), Schema.Redacted(value)])

const text = (pattern: RegExp) => Schema.String.check(Schema.isPattern(pattern))

/** A process argument or variable cannot hold a NUL, and a system call would only say so without naming it. */
const argument = text(/^[^\0]*$/)

/** What the transports write themselves. A definition that could would lie about the session, or about the message. */
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

const isReservedHeader = (name: string): boolean => reservedHeaders.has(name.toLowerCase())

const isHeaderName = (name: string): boolean => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && !isReservedHeader(name)

// eslint-disable-next-line no-control-regex
const isVariableName = (name: string): boolean => /^[^\0=]+$/.test(name)

/** Variables by which interpreters and linkers load code that is not the program's, or leave out checks. */
const isUnsafeVariable = (name: string): boolean =>
  /^(?:BASH_ENV|DYLD_.+|JAVA_TOOL_OPTIONS|LD_(?:AUDIT|LIBRARY_PATH|PRELOAD)|NODE_OPTIONS|NODE_TLS_REJECT_UNAUTHORIZED|PERL5OPT|PYTHONSTARTUP|RUBYOPT)$/i
    .test(name)

/** An object of secrets whose names are checked too. (A record of checked keys would drop those that do not pass.) */
const secrets = (options: {
  readonly value: Schema.Codec<string, string>
  readonly isName: (name: string) => boolean
}) =>
  Schema.Record(Schema.String, secret(options.value)).pipe(
    Schema.check(Schema.makeFilter((record: Readonly<Record<string, unknown>>) =>
      Object.keys(record).filter((name) => !options.isName(name)).map((name) => ({ path: [name], issue: "bad name" }))
    )),
    Schema.withDecodingDefaultKey(Effect.succeed({}))
  )

/** RFC 9110 field content. The platform's own error for a bad value quotes it, so it must never get that far. */
const headerValue = text(/^(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?$/)

const url = (scheme: string) =>
  Schema.String.check(
    Schema.isPattern(new RegExp(`^${scheme}://[^/?#@\\s]+(?:[/?#]\\S*)?$`, "i")),
    Schema.makeFilter((value: string) => Result.isSuccess(Schema.decodeResult(Schema.URLFromString)(value)))
  )

// -----------------------------------------------------------------------------
// Keys
// -----------------------------------------------------------------------------

interface Key {
  readonly problem:
    | typeof ConfigError.InvalidDuration
    | typeof ConfigError.InvalidUrl
    | typeof ConfigError.InvalidValue
  readonly expected: string
}

const keys: Record<string, Key> = {
  command: { problem: ConfigError.InvalidValue, expected: "the program to start, as non-empty text without NUL" },
  args: { problem: ConfigError.InvalidValue, expected: "a list of texts ([] if there are none)" },
  env: { problem: ConfigError.InvalidValue, expected: "an object of texts by variable name" },
  allowUnsafeEnv: { problem: ConfigError.InvalidValue, expected: "true or false" },
  cwd: { problem: ConfigError.InvalidValue, expected: "a directory, as non-empty text" },
  encoding: { problem: ConfigError.InvalidValue, expected: "one of utf-8, utf-16le, latin1" },
  maxNoiseLines: { problem: ConfigError.InvalidValue, expected: "a whole number from 0 to 1000000" },
  encodingErrors: { problem: ConfigError.InvalidValue, expected: "one of strict, ignore, replace" },
  url: { problem: ConfigError.InvalidUrl, expected: "" },
  headers: {
    problem: ConfigError.InvalidValue,
    expected: "an object of texts without control characters by header name"
  },
  addresses: { problem: ConfigError.InvalidValue, expected: "one of any, public" },
  connectTimeout: { problem: ConfigError.InvalidDuration, expected: "between 1 millis and 10 minutes" },
  requestTimeout: { problem: ConfigError.InvalidDuration, expected: "between 1 millis and 24 hours" },
  totalTimeout: { problem: ConfigError.InvalidDuration, expected: "between 1 millis and 24 hours" },
  probeTimeout: { problem: ConfigError.InvalidDuration, expected: "between 10 millis and 1 minute" },
  maxLifetime: { problem: ConfigError.InvalidDuration, expected: "between 0 and 30 days" },
  healthInterval: { problem: ConfigError.InvalidDuration, expected: "between 0 and 24 hours" },
  idleTimeToLive: { problem: ConfigError.InvalidDuration, expected: "between 0 and 24 hours" },
  maxInFlight: { problem: ConfigError.InvalidValue, expected: "a whole number from 1 to 100000" },
  maxInFlightTotal: { problem: ConfigError.InvalidValue, expected: "a whole number from 1 to 100000" },
  maxQueued: { problem: ConfigError.InvalidValue, expected: "a whole number from 0 to 1000000" },
  rateLimit: {
    problem: ConfigError.InvalidValue,
    expected: "an object with limit (a whole number from 1 to 1000000) and window (between 1 millis and 24 hours)"
  },
  maxMessageBytes: { problem: ConfigError.InvalidValue, expected: "a whole number from 1024 to 1073741824" },
  protocol: { problem: ConfigError.InvalidValue, expected: "one of auto, legacy, 2026-07-28" },
  clientInfo: { problem: ConfigError.InvalidValue, expected: "an object with name, version and optionally title" },
  sseFallback: { problem: ConfigError.InvalidValue, expected: "true or false" },
  disabled: { problem: ConfigError.InvalidValue, expected: "true or false" },
  trusted: { problem: ConfigError.InvalidValue, expected: "true or false" }
}

const requestTimeout = duration({ minimum: 1, maximum: "24 hours" })

const inFlight = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))

const common = {
  maxLifetime: duration({ minimum: 0, maximum: "30 days" }).pipe(Schema.withDecodingDefaultKey(Effect.succeed(0))),
  healthInterval: duration({ minimum: 0, maximum: "24 hours" }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("60 seconds"))
  ),
  requestTimeout: requestTimeout.pipe(Schema.withDecodingDefaultKey(Effect.succeed("60 seconds"))),
  totalTimeout: requestTimeout.pipe(Schema.withDecodingDefaultKey(Effect.succeed("5 minutes"))),
  probeTimeout: duration({ minimum: 10, maximum: "1 minute" }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("3 seconds"))
  ),
  maxInFlight: inFlight.pipe(Schema.withDecodingDefaultKey(Effect.succeed(64))),
  maxInFlightTotal: inFlight.pipe(Schema.withDecodingDefaultKey(Effect.succeed(256))),
  maxQueued: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(1000))
  ),
  rateLimit: Schema.optionalKey(Schema.Struct({
    limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
    window: duration({ minimum: 1, maximum: "24 hours" })
  })),
  maxMessageBytes: Schema.Int.check(Schema.isBetween({ minimum: 1024, maximum: 1024 ** 3 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(16 * 1024 ** 2))
  ),
  protocol: Schema.Literals(["auto", "legacy", "2026-07-28"]).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("auto" as const))
  ),
  clientInfo: Schema.Struct({
    name: Schema.NonEmptyString,
    version: Schema.NonEmptyString,
    title: Schema.optionalKey(Schema.NonEmptyString)
  }).pipe(Schema.withDecodingDefaultKey(Effect.succeed({ name: "mcp-sessions", version: "0.1.0" }))),
  disabled: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  trusted: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))
}

const connectTimeout = duration({ minimum: 1, maximum: "10 minutes" })
const idleTimeToLive = duration({ minimum: 0, maximum: "24 hours" })

const remote = {
  headers: secrets({ value: headerValue, isName: isHeaderName }),
  addresses: Schema.Literals(["any", "public"]).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("any" as const))
  ),
  connectTimeout: connectTimeout.pipe(Schema.withDecodingDefaultKey(Effect.succeed("20 seconds"))),
  idleTimeToLive: idleTimeToLive.pipe(Schema.withDecodingDefaultKey(Effect.succeed("5 minutes"))),
  ...common
}

// -----------------------------------------------------------------------------
// Models
// -----------------------------------------------------------------------------

/** The variables that a definition may not set without saying that it may. */
const unsafeVariables = ({ allowUnsafeEnv, env }: {
  readonly allowUnsafeEnv?: unknown
  readonly env?: unknown
}): ReadonlyArray<string> =>
  allowUnsafeEnv === true || !Predicate.isObject(env) ? [] : Object.keys(env).filter(isUnsafeVariable)

/**
 * Schema of a server that is started as a child process and spoken to over its standard streams.
 *
 * `encoding` (default `utf-8`) and `encodingErrors` (default `strict`) say how its output is read: `strict` ends the
 * connection at the first message that does not decode, `replace` puts U+FFFD for what does not, `ignore` drops it.
 * Variables in `env` that can change what the server runs, such as `NODE_OPTIONS` and `LD_PRELOAD`, need `allowUnsafeEnv`.
 *
 * Lines on its stdout that are no messages, such as banners, are skipped and reported; after `maxNoiseLines` of them in a
 * row (default 1000) the connection ends.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 * @category schemas
 * @since 0.1.0
 */
export const Stdio = Schema.Struct({
  transport: Schema.Literal("stdio"),
  command: text(/^[^\0]+$/),
  args: Schema.Array(argument),
  env: secrets({ value: argument, isName: isVariableName }),
  allowUnsafeEnv: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  cwd: Schema.optionalKey(text(/^[^\0]+$/)),
  encoding: Schema.Literals(["utf-8", "utf-16le", "latin1"]).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("utf-8" as const))
  ),
  encodingErrors: Schema.Literals(["strict", "ignore", "replace"]).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("strict" as const))
  ),
  maxNoiseLines: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(1000))
  ),
  connectTimeout: connectTimeout.pipe(Schema.withDecodingDefaultKey(Effect.succeed("30 seconds"))),
  idleTimeToLive: idleTimeToLive.pipe(Schema.withDecodingDefaultKey(Effect.succeed("10 minutes"))),
  ...common
}).check(
  Schema.makeFilter(({ allowUnsafeEnv, env }) =>
    unsafeVariables({ allowUnsafeEnv, env }).map((name) => ({ path: ["env", name], issue: "unsafe variable" }))
  )
)

/**
 * Schema of a server behind one HTTP endpoint. With `addresses: "public"` (default `any`; the same on the other remote
 * transports), neither the host of its URL nor anything that it resolves to may be an address that is not globally reachable:
 * for programs that take URLs from others. With `sseFallback` (default: `true` for the transport `http` or `remote`, `false`
 * for `streamable_http` and its spellings), a server that refuses to be posted to is met over SSE.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @category schemas
 * @since 0.1.0
 */
export const StreamableHttp = Schema.Struct({
  transport: Schema.Literal("streamable_http"),
  url: url("https?"),
  sseFallback: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  ...remote
})

/**
 * Schema of a server behind the two endpoints of the HTTP transport of 2024-11-05.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 * @category schemas
 * @since 0.1.0
 */
export const Sse = Schema.Struct({ transport: Schema.Literal("sse"), url: url("https?"), ...remote })

/**
 * Schema of a server behind a WebSocket.
 *
 * @category schemas
 * @since 0.1.0
 */
export const WebSocket = Schema.Struct({ transport: Schema.Literal("websocket"), url: url("wss?"), ...remote })

const schemas = { stdio: Stdio, streamable_http: StreamableHttp, sse: Sse, websocket: WebSocket }

/**
 * Schema of a server definition in its canonical form. {@link decode} understands the other names too and explains better.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ServerConfig = Schema.Union([Stdio, StreamableHttp, Sse, WebSocket])

/**
 * A decoded server definition.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerConfig = typeof ServerConfig.Type

/**
 * A server definition as a program writes it.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerConfigInput = typeof ServerConfig.Encoded

/**
 * A decoded definition with the name that it goes by.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerDefinition {
  readonly name: string
  readonly config: ServerConfig
}

/**
 * The transports that a definition can name.
 *
 * @category models
 * @since 0.1.0
 */
export type TransportKind = keyof typeof schemas

/**
 * All {@link TransportKind}s.
 *
 * @category models
 * @since 0.1.0
 */
export const transportKinds = Object.keys(schemas) as ReadonlyArray<TransportKind>

// -----------------------------------------------------------------------------
// Decoding
// -----------------------------------------------------------------------------

const keyAliases: Record<string, string> = {
  type: "transport",
  httpUrl: "url",
  serverUrl: "url",
  baseUrl: "url",
  environment: "env",
  envs: "env",
  enabled: "disabled",
  timeout: "requestTimeout",
  encoding_error_handler: "encodingErrors"
}

const transportAliases: Record<string, TransportKind> = {
  http: "streamable_http",
  "streamable-http": "streamable_http",
  streamableHttp: "streamable_http",
  remote: "streamable_http",
  local: "stdio",
  ws: "websocket"
}

/** Names that say HTTP, and not which of its two transports. */
const either = new Set(["http", "remote"])

interface Place {
  readonly source: string | undefined
  readonly server: string | undefined
  readonly path: ReadonlyArray<string>
}

type Raw = Record<string, unknown>

const isRaw = (value: unknown): value is Raw => Predicate.isObject(value)

/** The definition under canonical names, and for each of them the name that the document uses. */
const canonical = (raw: Raw, place: Place) => {
  const entries: Raw = {}
  const given: Record<string, string> = {}
  const problems: Array<ConfigError.ConfigProblem> = []
  for (const [key, value] of Object.entries(raw)) {
    const name = Object.hasOwn(keyAliases, key) ? keyAliases[key] ?? key : key
    const before = Object.hasOwn(given, name) ? given[name] : undefined
    if (before !== undefined) {
      problems.push(new ConfigError.ConflictingKeys({ ...place, keys: [before, key] }))
      continue
    }
    given[name] = key
    entries[name] = key === "enabled" && typeof value === "boolean" ? !value : value
  }
  const [command, ...args] = Array.isArray(entries.command) ? entries.command : []
  if (command !== undefined) {
    entries.command = command
    if (entries.args === undefined) entries.args = args
    else if (args.length > 0) problems.push(new ConfigError.ConflictingKeys({ ...place, keys: ["command", "args"] }))
  }
  return { entries, given, problems }
}

/** Where below a key the schema found fault; one path per fault. */
const pathsOf = (issue: SchemaIssue.Issue): ReadonlyArray<ReadonlyArray<PropertyKey>> => {
  switch (issue._tag) {
    case "Pointer":
      return pathsOf(issue.issue).map((path) => [...issue.path, ...path])
    case "Composite":
      return issue.issues.flatMap(pathsOf)
    case "Filter":
    case "Encoding":
      return pathsOf(issue.issue)
    default:
      return [[]]
  }
}

const problemsOfValue = (options: {
  readonly schema: Schema.ConstraintDecoder<unknown>
  readonly value: unknown
  readonly key: Key
  readonly place: Place
}): ReadonlyArray<ConfigError.ConfigProblem> => {
  const { key, place, schema, value } = options
  const decoded = Schema.decodeUnknownResult(schema, { errors: "all" })(value)
  if (Result.isSuccess(decoded)) return []
  // One value may fail more than one check; it is wrong once.
  const paths = new Map(pathsOf(decoded.failure.issue).map((path) => [path.join("\0"), path]))
  return [...paths.values()].map((below) => {
    const at = { ...place, path: [...place.path, ...below.map(String)] }
    const [header = ""] = below.map(String)
    return key === keys.headers && isReservedHeader(header)
      ? new ConfigError.ReservedHeader({ ...at, header })
      : new key.problem({ ...at, expected: key.expected })
  })
}

const transportOf = (
  entries: Raw,
  place: Place
): Result.Result<TransportKind, ConfigError.ConfigProblem> => {
  const transport = entries.transport
  const kind = typeof transport === "string" && Object.hasOwn(transportAliases, transport)
    ? transportAliases[transport]
    : transportKinds.find((kind) => kind === transport)
  if (kind !== undefined) return Result.succeed(kind)
  return Result.fail(
    transport === undefined
      ? new ConfigError.MissingTransport({ ...place, validNames: transportKinds })
      : new ConfigError.UnsupportedTransport({
        ...place,
        transport: typeof transport === "string" ? transport : typeof transport,
        validNames: transportKinds
      })
  )
}

const expectedUrl: Record<TransportKind, string> = {
  stdio: "",
  streamable_http: "http:// or https:// without user name and password",
  sse: "http:// or https:// without user name and password",
  websocket: "ws:// or wss:// without user name and password"
}

const decodeEntry = (
  raw: unknown,
  place: Place
): Result.Result<ServerConfig, ReadonlyArray<ConfigError.ConfigProblem>> => {
  if (!isRaw(raw)) return Result.fail([new ConfigError.InvalidValue({ ...place, expected: "an object" })])
  const { entries, given, problems } = canonical(raw, place)
  const at = (key: string): Place => ({ ...place, path: [...place.path, given[key] ?? key] })
  const transport = transportOf(entries, given.transport === undefined ? place : at("transport"))
  const isUnknown = (name: string) => name !== "transport" && !Object.hasOwn(keys, name)
  const unknownKey = (name: string, validNames: ReadonlyArray<string>) =>
    new ConfigError.UnknownKey({ ...at(name), key: given[name] ?? name, validNames })
  // Without a transport nobody knows which keys apply, but some apply to none: often the one that was mistyped.
  if (Result.isFailure(transport)) {
    const unknown = Object.keys(entries).filter(isUnknown).map((name) => unknownKey(name, Object.keys(keys)))
    return Result.fail([...problems, transport.failure, ...unknown])
  }
  const kind = transport.success
  const fields: Record<string, Schema.ConstraintDecoder<unknown>> = schemas[kind].fields
  if (either.has(String(entries.transport)) && entries.sseFallback === undefined) entries.sseFallback = true
  for (const [name, value] of Object.entries(entries)) {
    if (isUnknown(name)) problems.push(unknownKey(name, Object.keys(fields)))
    const key = Object.hasOwn(keys, name) ? keys[name] : undefined
    if (key === undefined) continue
    const schema = fields[name]
    if (schema === undefined) {
      const appliesTo = transportKinds.filter((kind) => name in schemas[kind].fields)
      problems.push(
        new ConfigError.MisplacedKey({ ...at(name), key: given[name] ?? name, transport: kind, appliesTo })
      )
      continue
    }
    const described = name === "url" ? { ...key, expected: expectedUrl[kind] } : key
    problems.push(...problemsOfValue({ schema, value, key: described, place: at(name) }))
    if (name === "env") {
      const { path, ...place } = at(name)
      for (const variable of unsafeVariables(entries)) {
        problems.push(new ConfigError.UnsafeVariable({ ...place, path: [...path, variable], variable }))
      }
    }
  }
  for (const name of ["command", "args", "url"]) {
    if (name in fields && entries[name] === undefined) {
      const expected = name === "url" ? expectedUrl[kind] : keys[name]?.expected ?? ""
      problems.push(new ConfigError.MissingKey({ ...place, key: name, expected }))
    }
  }
  if (problems.length > 0) return Result.fail(problems)
  return Result.succeed(Schema.decodeUnknownSync(ServerConfig)({ ...entries, transport: kind }))
}

const failWith = (
  problems: ReadonlyArray<ConfigError.ConfigProblem>
): Effect.Effect<never, ConfigError.ConfigError> => {
  const [first, ...rest] = problems
  return first === undefined
    ? Effect.die("no problems to fail with")
    : Effect.fail(new ConfigError.ConfigError({ problems: [first, ...rest] }))
}

/**
 * Decodes one definition of unknown origin, or fails with all that is wrong with it.
 *
 * **Example** (Decoding with an alias)
 *
 * ```ts import.meta.vitest
 * import { ServerConfig } from "@mcp-sessions/core"
 * import { Effect } from "effect"
 *
 * const config = await Effect.runPromise(ServerConfig.decode({ type: "http", url: "https://example.com/mcp" }))
 * config.transport // => "streamable_http"
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (raw: unknown): Effect.Effect<ServerConfig, ConfigError.ConfigError> =>
  Result.match(decodeEntry(raw, { source: undefined, server: undefined, path: [] }), {
    onSuccess: Effect.succeed,
    onFailure: failWith
  })

/**
 * Decides whether a program may be started, for applications that take definitions from others.
 *
 * @category models
 * @since 0.1.0
 */
export type AllowCommand = (program: { readonly command: string; readonly args: ReadonlyArray<string> }) => boolean

/**
 * Decodes an object of definitions by name, or fails with all that is wrong with any of them.
 *
 * `source` and `path` say where the object comes from, for problems to name; default: no source, path `["servers"]`.
 * `allowCommand` decides what stdio definitions may start; default: anything.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeServers = Effect.fnUntraced(function*(options: {
  readonly servers: unknown
  readonly source?: string | undefined
  readonly path?: ReadonlyArray<string> | undefined
  readonly allowCommand?: AllowCommand | undefined
}): Effect.fn.Return<ReadonlyArray<ServerDefinition>, ConfigError.ConfigError> {
  const { allowCommand, path = ["servers"], servers, source } = options
  if (!isRaw(servers)) {
    const expected = "an object of server definitions by name"
    return yield* failWith([new ConfigError.InvalidValue({ source, path, expected })])
  }
  const problems: Array<ConfigError.ConfigProblem> = []
  const definitions: Array<ServerDefinition> = []
  for (const [name, raw] of Object.entries(servers)) {
    const decoded = decodeEntry(raw, { source, server: name, path: [...path, name] })
    if (Result.isFailure(decoded)) {
      problems.push(...decoded.failure)
      continue
    }
    const config = decoded.success
    if (config.transport === "stdio" && allowCommand?.(config) === false) {
      const { args, command } = config
      const place = { source, server: name, path: [...path, name, "command"] }
      problems.push(new ConfigError.DisallowedCommand({ ...place, command, args }))
    }
    definitions.push({ name, config })
  }
  return problems.length === 0 ? definitions : yield* failWith(problems)
})
