/**
 * Finds and reads configuration files.
 *
 * A file is regular, at most 8 MiB long, and JSON with comments and trailing commas. It holds server definitions by name under `mcpServers` or `servers`.
 * `${NAME}` and `${NAME:-default}` in any text of a definition are replaced from the environment.
 *
 * @since 0.1.0
 */
import {
  ConfigError,
  type ConfigProblem,
  ConflictingKeys,
  InvalidDocument,
  InvalidValue,
  jsonPath,
  MissingDocument,
  MissingVariable
} from "@mcp-sessions/core/ConfigError"
import * as ServerConfig from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { readRegularFile } from "./internal/regularFile.ts"
import * as JsonDocument from "./JsonDocument.ts"

/**
 * Names of the files that are searched for in the working directory. The first one that exists is used.
 *
 * @category constants
 * @since 0.1.0
 */
export const fileNames: ReadonlyArray<string> = ["mcp-sessions.json", "mcp-sessions.jsonc", ".mcp.json"]

/**
 * Server definition with its source file, and as it was written there: for display, without replaced variables.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfiguredServer extends ServerConfig.ServerDefinition {
  readonly source: string
  readonly written: Readonly<Record<string, unknown>>
}

type JsonObject = Record<string, unknown>

const isJsonObject = (value: unknown): value is JsonObject => Predicate.isObject(value)

const failWith = (problems: ReadonlyArray<ConfigProblem>) => {
  const [first, ...rest] = problems
  return first === undefined ? Effect.void : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
}

const findFile = Effect.fnUntraced(function*(directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const name of fileNames) {
    const exists = yield* fs.exists(path.join(directory, name)).pipe(Effect.orElseSucceed(() => false))
    if (exists) return name
  }
  const fact = `${directory} has no ${fileNames.join(", ")}; name a file with --config`
  return yield* new ConfigError({ problems: [new MissingDocument({ path: [], fact })] })
})

/** The largest configuration file, in MiB. */
const sizeLimit = 8

/** Returns the definitions of a document and the key that holds them. */
const serversOf = (source: string, document: unknown) => {
  const keys = ["mcpServers", "servers"].filter((key) => isJsonObject(document) && Object.hasOwn(document, key))
  const [key, other] = keys
  if (!isJsonObject(document) || key === undefined) {
    const expected = "an object with server definitions by name under \"mcpServers\" or \"servers\""
    return Effect.fail(new ConfigError({ problems: [new InvalidDocument({ source, path: [], expected })] }))
  }
  return other === undefined
    ? Effect.succeed({ key, servers: document[key] })
    : Effect.fail(new ConfigError({ problems: [new ConflictingKeys({ source, path: [], keys })] }))
}

const variable = /\$\{([^}]*)\}/g
/** A name with an optional default. A default cannot contain variables: `}` would end it at the wrong place. */
const variableForm = /^([A-Za-z_]\w*)(?::-((?:(?!\$\{)[\s\S])*))?$/

/** Replaces the variables in all texts of a value. */
const interpolate = (options: {
  readonly value: unknown
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly place: { readonly source: string; readonly server: string; readonly path: ReadonlyArray<string | number> }
  readonly problems: Array<ConfigProblem>
}): unknown => {
  const { environment, place, problems, value } = options
  const below = (key: string | number, value: unknown) =>
    interpolate({ ...options, value, place: { ...place, path: [...place.path, key] } })
  if (Array.isArray(value)) return value.map((item, index) => below(index, item))
  if (isJsonObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, below(key, item)]))
  }
  if (typeof value !== "string") return value
  return value.replaceAll(variable, (whole, inside: string) => {
    const [, name, fallback] = variableForm.exec(inside) ?? []
    if (name === undefined) {
      problems.push(
        new InvalidValue({ ...place, expected: "text with variables of the form ${NAME} or ${NAME:-default}" })
      )
      return whole
    }
    // The environment has the properties of every object, too.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    const found = value === "" && fallback !== undefined ? undefined : value
    if (found === undefined && fallback === undefined) problems.push(new MissingVariable({ ...place, variable: name }))
    return found ?? fallback ?? whole
  })
}

/**
 * Reads the definitions of a file, or of the first of {@link fileNames} in the directory. Fails with all problems of the file,
 * including unset variables.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = Effect.fn("ConfigFiles.load")(function*(options: {
  readonly file: string | undefined
  readonly directory: string
  readonly environment: Readonly<Record<string, string | undefined>>
}): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, ConfigError, FileSystem.FileSystem | Path.Path> {
  const { directory, environment } = options
  const source = options.file ?? (yield* findFile(directory))
  const text = yield* readRegularFile({ directory, path: source, mebibytes: sizeLimit }).pipe(
    Effect.mapError((fact) => new ConfigError({ problems: [new MissingDocument({ source, path: [], fact })] }))
  )
  const document = yield* Effect.fromResult(
    Result.mapError(JsonDocument.parse({ source, text }), (problems) => new ConfigError({ problems }))
  )
  const { key, servers } = yield* serversOf(source, document)
  if (!isJsonObject(servers)) return yield* Effect.as(ServerConfig.decodeServers({ servers, source, path: [key] }), [])

  const problems: Array<ConfigProblem> = []
  const ready: JsonObject = {}
  for (const [server, raw] of Object.entries(servers)) {
    const place = { source, server, path: [key, server] }
    ready[server] = interpolate({ value: raw, environment, place, problems })
  }
  const unresolved = new Set(problems.map(({ path }) => jsonPath(path)))
  const definitions = yield* ServerConfig.decodeServers({ servers: ready, source, path: [key] }).pipe(
    Effect.catch((error) => {
      // Values with unset variables were already reported.
      problems.push(...error.problems.filter(({ path }) => !unresolved.has(jsonPath(path))))
      return Effect.succeed([])
    })
  )
  yield* failWith(problems)
  return definitions.map((definition) => {
    const written = servers[definition.name]
    return { ...definition, source, written: isJsonObject(written) ? written : {} }
  })
})
