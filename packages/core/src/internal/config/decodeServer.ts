/**
 * Decodes one server definition of unknown origin: resolves aliases, infers the transport, and collects every problem.
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ConfigError from "../../ConfigError.ts"
import type * as ServerConfig from "../../ServerConfig.ts"
import { unsafeVariables } from "./environmentKeys.ts"
import * as Keys from "./keys.ts"
import { decodeValue, isReservedHeader } from "./values.ts"

/** Other names of keys. */
export const keyAliases: Readonly<Record<string, string>> = {
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

/** Other names of transports. */
export const transportAliases: Readonly<Record<string, Keys.TransportKind>> = {
  http: "streamable_http",
  "streamable-http": "streamable_http",
  streamableHttp: "streamable_http",
  remote: "streamable_http",
  local: "stdio",
  ws: "websocket"
}

/** Spellings that name HTTP, but not which of its two transports. */
const ambiguousHttp: ReadonlySet<unknown> = new Set(["http", "remote"])

/** Where a problem is. */
export interface Place {
  readonly source: string | undefined
  readonly server: string | undefined
  readonly path: ReadonlyArray<string>
}

type Raw = Record<string, unknown>

/** Whether a value is an object with keys. */
export const isRaw = (value: unknown): value is Raw => Predicate.isObject(value)

interface Canonical {
  /** The values by canonical key. */
  readonly entries: Raw
  /** The key that the document uses, by canonical key. */
  readonly given: Readonly<Record<string, string>>
  readonly problems: ReadonlyArray<ConfigError.ConfigProblem>
}

/** Renames aliases of keys to their canonical names. Programs may pass `undefined` for an absent key. */
const canonical = (raw: Raw, place: Place): Canonical => {
  const entries: Raw = {}
  const given: Record<string, string> = {}
  const problems: Array<ConfigError.ConfigProblem> = []
  for (const [key, value] of Object.entries(raw)) {
    if (value === undefined) continue
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

/** The name of a definition that has none: the program that it starts, or the host that it connects to. */
export const nameOf = (definition: unknown): string => {
  const fallback = "server"
  if (!isRaw(definition)) return fallback
  const { entries: { command, url } } = canonical(definition, { source: undefined, server: fallback, path: [] })
  const name = typeof command === "string"
    ? command.split(/[\\/]/).at(-1)
    : typeof url === "string"
    ? Result.getOrUndefined(Schema.decodeResult(Schema.URLFromString)(url))?.host
    : undefined
  return name === undefined || name === "" ? fallback : name
}

interface Transport {
  readonly kind: Keys.TransportKind
  /** Whether the definition leaves open which of the two HTTP transports the server speaks. */
  readonly isAmbiguousHttp: boolean
}

const inferred = ({ command, url }: Raw): Transport | undefined =>
  command !== undefined
    ? { kind: "stdio", isAmbiguousHttp: false }
    : url === undefined
    ? undefined
    : typeof url === "string" && /^wss?:/i.test(url)
    ? { kind: "websocket", isAmbiguousHttp: false }
    : { kind: "streamable_http", isAmbiguousHttp: true }

/** The transport that a definition names, else the one that its `command` or `url` decides. */
const transportOf = (entries: Raw, place: Place): Result.Result<Transport, ConfigError.ConfigProblem> => {
  const { transport } = entries
  const validNames = Keys.transportKinds
  if (transport === undefined) {
    return Result.fromNullishOr(inferred(entries), () => new ConfigError.MissingTransport({ ...place, validNames }))
  }
  const kind = typeof transport === "string" && Object.hasOwn(transportAliases, transport)
    ? transportAliases[transport]
    : validNames.find((kind) => kind === transport)
  return kind === undefined
    ? Result.fail(
      new ConfigError.UnsupportedTransport({
        ...place,
        transport: typeof transport === "string" ? transport : typeof transport,
        validNames
      })
    )
    : Result.succeed({ kind, isAmbiguousHttp: ambiguousHttp.has(transport) })
}

/** The transport of a definition, as far as it can be known without checking the rest. */
export const kindOf = (raw: Raw): Keys.TransportKind | undefined => {
  const place = { source: undefined, server: undefined, path: [] }
  return Result.getOrUndefined(transportOf(canonical(raw, place).entries, place))?.kind
}

const kindsWith = (key: string): ReadonlyArray<Keys.TransportKind> =>
  Keys.transportKinds.filter((kind) => Object.hasOwn(Keys.fieldsOf(kind), key))

/** Every key of any transport. */
const allKeys = Array.from(new Set(Keys.transportKinds.flatMap((kind) => Object.keys(Keys.fieldsOf(kind)))))

/** Every key of any transport, and every other name of one. */
export const knownKeys: ReadonlyArray<string> = [...allKeys, ...Object.keys(keyAliases)]

/** The problems of the value of one key. */
const problemsOfKey = ({ entries, key, kind, place }: {
  readonly entries: Raw
  readonly key: string
  readonly kind: Keys.TransportKind
  readonly place: Place
}): ReadonlyArray<ConfigError.ConfigProblem> => {
  const schema = Keys.fieldsOf(kind)[key]
  const described = Keys.descriptionOf({ kind, key })
  if (schema === undefined || described === undefined || key === "transport") return []
  const { expectation } = described
  const value = entries[key]
  const problemsOf = (value: unknown) =>
    Result.match(decodeValue({ schema, value, expectation, place }), {
      onSuccess: () => [],
      onFailure: (problems) => problems
    })
  // A record checks its names only when its values are good, so the names get a check of their own.
  const names = isRaw(value) && (key === "env" || key === "headers")
    ? problemsOf(Object.fromEntries(Object.keys(value).map((name) => [name, ""])))
    : []
  const named = new Set(names.map(({ path }) => path.join("\0")))
  const others = problemsOf(value).filter(({ path }) => !named.has(path.join("\0")))
  const found = [...names, ...others].map((problem) => {
    const header = key === "headers" ? problem.path[place.path.length] : undefined
    return typeof header === "string" && isReservedHeader(header)
      ? new ConfigError.ReservedHeader({ ...place, path: problem.path, header })
      : problem
  })
  const unsafe = unsafeVariables(entries).filter(({ path: [of] }) => of === key)
  return [
    ...found,
    ...unsafe.map(({ path: [, member], variable }) =>
      new ConfigError.UnsafeVariable({ ...place, path: [...place.path, member], variable })
    )
  ]
}

/** The problems of the keys of one transport: unknown, misplaced, invalid and missing ones. */
const problemsOfKeys = ({ entries, given }: Canonical, kind: Keys.TransportKind, place: Place) => {
  const fields = Keys.fieldsOf(kind)
  const problems = Object.keys(entries).flatMap((name): ReadonlyArray<ConfigError.ConfigProblem> => {
    const key = given[name] ?? name
    const at = { ...place, path: [...place.path, key] }
    if (Object.hasOwn(fields, name)) return problemsOfKey({ entries, key: name, kind, place: at })
    const appliesTo = kindsWith(name)
    return appliesTo.length === 0
      ? [new ConfigError.UnknownKey({ ...at, key, validNames: Object.keys(fields) })]
      : [new ConfigError.MisplacedKey({ ...at, key, transport: kind, appliesTo })]
  })
  const missing = Object.keys(fields).flatMap((key) => {
    const described = Keys.descriptionOf({ kind, key })
    return described === undefined || described.default !== undefined || entries[key] !== undefined
      ? []
      : [new ConfigError.MissingKey({ ...place, key, expected: described.expectation.text })]
  })
  return [...problems, ...missing]
}

/** Decodes one definition, or fails with every problem of it. */
export const decodeServer = ({ place, raw }: {
  readonly raw: unknown
  readonly place: Place
}): Result.Result<ServerConfig.ServerConfig, ReadonlyArray<ConfigError.ConfigProblem>> => {
  if (!isRaw(raw)) return Result.fail([new ConfigError.InvalidValue({ ...place, expected: "an object" })])
  const definition = canonical(raw, place)
  const { entries, given } = definition
  const transport = transportOf(
    entries,
    given.transport === undefined ? place : { ...place, path: [...place.path, given.transport] }
  )
  if (Result.isFailure(transport)) {
    // The valid keys depend on the transport, but a key that no transport has may be the mistyped cause.
    const unknown = Object.keys(entries).filter((name) => !allKeys.includes(name)).map((name) => {
      const key = given[name] ?? name
      return new ConfigError.UnknownKey({ ...place, path: [...place.path, key], key, validNames: allKeys })
    })
    return Result.fail([...definition.problems, transport.failure, ...unknown])
  }
  const { isAmbiguousHttp, kind } = transport.success
  if (isAmbiguousHttp && entries.sseFallback === undefined) entries.sseFallback = true
  const problems = [...definition.problems, ...problemsOfKeys(definition, kind, place)]
  return problems.length > 0
    ? Result.fail(problems)
    : Result.succeed(Schema.decodeUnknownSync(Keys.ServerConfig)({ ...entries, transport: kind }))
}
