/**
 * Resolves an entry: puts the values of variables in, reads its env file, and decodes it.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import {
  ConfigError,
  type ConfigProblem,
  DisabledServer,
  InvalidDuration,
  InvalidValue,
  MissingInput,
  MissingVariable,
  UntrustedFile
} from "../../ConfigError.ts"
import { Host } from "../../Host.ts"
import type { ServerConfig } from "../../ServerConfig.ts"
import { decodeServer, kindOf } from "../config/decodeServer.ts"
import { jsonPath } from "../config/place.ts"
import { clients } from "./clients.ts"
import { unreadable } from "./document.ts"
import type { Entry, File } from "./entry.ts"
import { undeclared, variableOf } from "./inputs.ts"
import { interpolate, type Missing, textsIn, type Values } from "./interpolate.ts"
import type { AskInput } from "./model.ts"
import { offsetOf, type Path } from "./node.ts"
import type { Trust } from "./trust.ts"

/** What entries are resolved with. */
export interface Resolution {
  readonly trust: Trust
  /** Gives the value of an input of a file. Asks once for each. */
  readonly input: (file: File, id: string) => Effect.Effect<Redacted.Redacted<string> | undefined, never, Host>
}

/** Makes the source of inputs: asks the caller once for each input of a file, and falls back to its variable. */
export const inputsOnce = (ask: AskInput | undefined): Resolution["input"] => {
  const known = new Map<string, Redacted.Redacted<string> | undefined>()
  return Effect.fnUntraced(function*(file: File, id: string) {
    const { environment } = yield* Host
    const key = `${file.path}\0${id}`
    if (known.has(key)) return known.get(key)
    const variable = variableOf(id)
    const declared = file.inputs.get(id) ?? undeclared(id)
    const answer = ask === undefined ? undefined : yield* ask({ ...declared, source: file.source, variable })
    const set = environment[variable]
    const value = answer ?? (set === undefined ? undefined : Redacted.make(set))
    known.set(key, value)
    return value
  })
}

const formOf = ({ file }: Entry) => clients[file.client].references

/** The definition with the path of its env file, whose texts may all hold variables. */
const templateOf = ({ draft }: Entry) => ({ raw: draft.raw, envFile: draft.envFile })

/**
 * The keys of a remote server that anyone may set. All others need trust, because they decide how far a server is trusted, or who receives
 * credentials of the user: a proxy and certificates of an attacker see what is sent to a server of the user.
 */
const harmlessKeys: ReadonlySet<string> = new Set([
  "addresses",
  "baseUrl",
  "clientInfo",
  "connectTimeout",
  "cookies",
  "disabled",
  "enabled",
  "headers",
  "healthInterval",
  "httpUrl",
  "idleTimeToLive",
  "maxInFlight",
  "maxInFlightTotal",
  "maxLifetime",
  "maxMessageBytes",
  "maxQueued",
  "probeTimeout",
  "protocol",
  "rateLimit",
  "requestTimeout",
  "serverUrl",
  "sseFallback",
  "timeout",
  "totalTimeout",
  "transport",
  "type",
  "url"
])

/** What an entry does that a project file needs trust for. */
const effectOf = (entry: Entry): UntrustedFile["effect"] | undefined => {
  const { raw } = entry.draft
  if (raw.command !== undefined || kindOf(raw) === "stdio") return "program"
  if (Object.keys(raw).some((key) => !harmlessKeys.has(key))) return "security"
  const hasValues = textsIn(templateOf(entry), formOf(entry)).some(({ parts }) =>
    parts.some(({ kind }) => kind === "variable" || kind === "input" || kind === "place")
  )
  return hasValues ? "values" : undefined
}

const placesOf = (host: Host["Service"], folder: string): Values["places"] => ({
  workspaceFolder: folder,
  workspaceFolderBasename: folder.split(/[\\/]/).at(-1),
  userHome: host.homeDirectory,
  pathSeparator: host.platform === "win32" ? "\\" : "/",
  "/": host.platform === "win32" ? "\\" : "/"
})

const missingProblem = (entry: Entry, missing: Missing, path: Path): ConfigProblem => {
  const place = entry.draft.at(path)
  switch (missing.kind) {
    case "variable":
      return new MissingVariable({ ...place, variable: missing.name })
    case "input":
      return new MissingInput({ ...place, id: missing.id, variable: variableOf(missing.id) })
    case "invalid": {
      const expected =
        "text with references of the form ${NAME}, ${NAME:-default}, ${env:NAME} or ${input:id}; references to files are not supported"
      return new InvalidValue({ ...place, expected })
    }
  }
}

/** The path of the env file of an entry. `undefined`: the entry has none, or its path depends on an answer of the user. */
export const envFilePathOf = (host: Host["Service"], entry: Entry): string | undefined => {
  const { draft: { envFile }, file: { folder } } = entry
  if (envFile === undefined) return undefined
  const values = { environment: host.environment, places: placesOf(host, folder), inputs: new Map<string, never>() }
  const { missing, value } = interpolate(envFile, formOf(entry), values)
  return missing.length === 0 && typeof value === "string" ? host.resolve(folder, value) : undefined
}

/** Reads an env file. Its values are taken as they are. */
const envFileOf = Effect.fnUntraced(function*(entry: Entry, path: string) {
  const host = yield* Host
  const absolute = host.resolve(entry.file.folder, path)
  const read = yield* Effect.result(host.readFile(absolute, 1024 ** 2))
  return Result.map(
    Result.mapError(read, (refused): ConfigProblem => {
      const { fact } = unreadable(entry.file.source, refused) as ConfigProblem & { readonly fact: string }
      return new InvalidValue({ ...entry.draft.at(["envFile"]), expected: `the path of a file (${fact})` })
    }),
    host.parseEnv
  )
})

/** The working directory of a program: relative to the folder of its file, and that folder if it is another one. */
const directoryOf = (host: Host["Service"], entry: Entry, cwd: unknown): Record<string, unknown> => {
  const { folder } = entry.file
  const isOfFolder = entry.scope === "project" || entry.scope === "explicit"
  if (typeof cwd === "string") return { cwd: isOfFolder && cwd !== "" ? host.resolve(folder, cwd) : cwd }
  if (cwd !== undefined) return { cwd }
  return entry.scope === "project" && folder !== host.workingDirectory ? { cwd: folder } : {}
}

const isProgram = (raw: Readonly<Record<string, unknown>>): boolean => raw.command !== undefined

/** Gives every problem the position of its path. */
const placed = (entry: Entry, problem: ConfigProblem): ConfigProblem => {
  if (problem.position !== undefined) return problem
  const { positionOf, tree } = entry.file
  const position = positionOf(offsetOf(tree, problem.path))
  const Class = problem.constructor as new(fields: object) => ConfigProblem
  return new Class({ ...problem, position })
}

/** Puts the values in. Gives the definition for the decoder, and the problems so far. */
const filled = Effect.fnUntraced(function*(entry: Entry, resolution: Resolution, isTrusted: boolean) {
  const host = yield* Host
  const { draft, file } = entry
  const template = templateOf(entry)
  const form = formOf(entry)
  const ids = new Set(
    textsIn(template, form).flatMap(({ parts }) => parts.flatMap((part) => part.kind === "input" ? [part.id] : []))
  )
  const inputs = new Map<string, Redacted.Redacted<string>>()
  for (const id of isTrusted && !entry.isDisabled ? ids : []) {
    const value = yield* resolution.input(file, id)
    if (value !== undefined) inputs.set(id, value)
  }
  const values = { environment: host.environment, places: placesOf(host, file.folder), inputs }
  const { missing, value } = interpolate(template, form, values)
  const { envFile, raw } = value as { readonly raw: Record<string, unknown>; readonly envFile: string | undefined }
  const problems = missing.map((one) =>
    missingProblem(entry, one, one.path[0] === "envFile" ? ["envFile"] : draft.originOf(one.path.slice(1)))
  )
  const canRead = envFile !== undefined && !missing.some(({ path }) => path[0] === "envFile") && isTrusted
  const read = canRead ? yield* envFileOf(entry, envFile) : Result.succeed({})
  if (Result.isFailure(read)) problems.push(read.failure)
  const fromFile = Result.getOrElse(read, () => ({}))
  const key = ["environment", "envs"].find((key) => Object.hasOwn(raw, key)) ?? "env"
  const own = raw[key]
  const isEnv = own === undefined || typeof own === "object" && own !== null
  const env = isEnv && Object.keys(fromFile).length > 0 ? { [key]: { ...fromFile, ...own } } : {}
  return { raw: { ...raw, ...env, ...(isProgram(raw) ? directoryOf(host, entry, raw.cwd) : {}) }, problems }
})

/** The problems of a value that are known already: a text without its variable is no URL. */
const isKnown = (known: ReadonlySet<string>, { path }: ConfigProblem): boolean => known.has(jsonPath(path))

const isNeed = ({ _tag }: ConfigProblem): boolean =>
  _tag === "MissingVariable" || _tag === "MissingInput" || _tag === "UntrustedFile"

/** Resolves an entry, or gives all its problems, with their positions. */
export const resolveEntry = Effect.fnUntraced(function*(
  entry: Entry,
  resolution: Resolution
): Effect.fn.Return<Result.Result<ServerConfig, ConfigError>, never, Host> {
  const { draft, file } = entry
  const effect = effectOf(entry)
  const decision = effect === undefined || entry.isDisabled
    ? { isTrusted: true, fact: undefined }
    : yield* resolution.trust(file, entry.scope)
  const untrusted = effect === undefined || decision.isTrusted
    ? []
    : [new UntrustedFile({ ...draft.place, effect, fact: decision.fact })]
  const { problems: missing, raw } = yield* filled(entry, resolution, decision.isTrusted)
  // Values are asked for once the user trusts the file.
  const needed = decision.isTrusted ? missing : missing.filter((problem) => !isNeed(problem))
  const own = [...untrusted, ...entry.problems, ...needed]
  const known = new Set(missing.map(({ path }) => jsonPath(path)))
  const isObject = !entry.problems.some(({ _tag, path }) =>
    _tag === "InvalidValue" && path.length === draft.place.path.length
  )
  const decoded = isObject ? decodeServer({ raw, place: draft.place }) : Result.fail([])
  const found = Result.isFailure(decoded)
    ? decoded.failure.map((problem) => relocated(entry, problem)).filter((problem) => !isKnown(known, problem))
    : []
  const problems = [...own, ...found].map((problem) => placed(entry, problem))
  const isOff = entry.isDisabled && problems.every(isNeed) && problems.length > 0
  const [first, ...rest] = isOff ? [placed(entry, new DisabledServer(draft.place))] : problems
  if (first !== undefined) return Result.fail(new ConfigError({ problems: [first, ...rest] }))
  return Result.mapError(decoded, () => new ConfigError({ problems: [new DisabledServer(draft.place)] }))
})

/** Moves a problem of the decoder to the key of the document that caused it, with the unit of that key. */
const relocated = (entry: Entry, problem: ConfigProblem): ConfigProblem => {
  const { draft } = entry
  const inDefinition = problem.path.slice(draft.place.path.length)
  const path = [...draft.place.path, ...draft.originOf(inDefinition)]
  if (problem._tag === "InvalidDuration") {
    return new InvalidDuration({ ...problem, path, unit: draft.unitOf(inDefinition) })
  }
  if (jsonPath(path) === jsonPath(problem.path)) return problem
  const Class = problem.constructor as new(fields: object) => ConfigProblem
  return new Class({ ...problem, path })
}
