/**
 * Loads a configuration: finds the files, reads them, and resolves and names their entries.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { AmbiguousServer, ConfigError, type ConfigProblem, InvalidValue } from "../../ConfigError.ts"
import type { ConfigWarning } from "../../ConfigWarning.ts"
import { Host } from "../../Host.ts"
import { BadOptions, checkBy } from "../config/callOptions.ts"
import { kindOf } from "../config/decodeServer.ts"
import { failWith } from "../config/failWith.ts"
import { loadRules } from "../config/optionRules.ts"
import { readDocument, unreadable } from "./document.ts"
import { type Entry, type FileEntries, fileEntries } from "./entry.ts"
import { hiddenArguments } from "./hidden.ts"
import type {
  AskInput,
  AskTrust,
  Configuration,
  ConfigurationFile,
  ConfigurationProblem,
  ConfiguredServer
} from "./model.ts"
import { aliasesOf, fileAddressOf, nameEntries, type Resolved } from "./names.ts"
import { offsetOf } from "./node.ts"
import { envFilePathOf, inputsOnce, type Resolution, resolveEntry } from "./resolve.ts"
import { candidatesOf, explicitSource, filesOfVariable, type Project, projectOf, type Source } from "./sources.ts"
import { trustOnce } from "./trust.ts"

/**
 * Options of loading.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadOptions {
  /**
   * The files to read, relative to the working directory. Default: those that the variable `MCP_SESSIONS_CONFIG` lists, else the files of the
   * project and of the user.
   */
  readonly files?: ReadonlyArray<string> | undefined
  /** Gives the values of inputs of servers that are not disabled. Default: their variables. */
  readonly input?: AskInput | undefined
  /** Decides whether project files may start programs. Default: those that the user has trusted may. */
  readonly trust?: "all" | AskTrust | undefined
}

/** What entries are resolved with. */
export const resolutionOf = ({ input, trust }: LoadOptions): Resolution => ({
  input: inputsOnce(input),
  trust: trustOnce(trust)
})

interface Failed {
  readonly source: Source
  readonly problem: ConfigProblem
}

/** How many files a caller may name. */
const fileLimit = 256

/** How many files are read at once. */
const concurrency = 16

/** Reads files. A file that is missing is a failure only where the caller names it. */
const readAll = (sources: ReadonlyArray<Source>, project: Project) =>
  Effect.map(
    Effect.forEach(sources, (source) => Effect.map(readDocument(source), (outcome) => ({ source, outcome })), {
      concurrency
    }),
    (read) => {
      const files: Array<FileEntries> = []
      const failed: Array<Failed> = []
      for (const { outcome, source } of read) {
        if (outcome._tag === "Document") files.push(fileEntries(source, outcome.document, project))
        else if (outcome._tag === "Problem") failed.push({ source, problem: outcome.problem })
        else if (source.scope === "explicit") {
          failed.push({ source, problem: unreadable(source.source, outcome.refused) })
        }
      }
      return { files, failed }
    }
  )

/** Nearest first within a program. The settings of the user for this project come before the files of the project. */
const ranked = (files: ReadonlyArray<FileEntries>): ReadonlyArray<Entry> => {
  const entries = files.flatMap(({ entries }) => entries)
  return [...entries.filter(({ scope }) => scope === "local"), ...entries.filter(({ scope }) => scope !== "local")]
}

const textIn = (value: unknown): ReadonlyArray<string> =>
  [value].flat().filter((part): part is string => typeof part === "string")

/** The command or URL of an entry as written, without the parts of a URL that may be secret. */
const targetOf = ({ draft: { raw } }: Entry): string => {
  const url = ["url", "httpUrl", "serverUrl", "baseUrl"].map((key) => raw[key]).find((value) => value !== undefined)
  return url === undefined
    ? textIn(hiddenArguments([...textIn(raw.command), ...textIn(raw.args)])).join(" ")
    : (textIn(url)[0] ?? "").replace(/[?#][\s\S]*$/, "").replace(/^([a-z]+:\/\/)[^/@]*@/i, "$1")
}

/** The warnings of an entry, with their positions. */
const warningsOf = ({ draft, file: { positionOf, tree } }: Entry): ReadonlyArray<ConfigWarning> =>
  draft.warnings.map((warning) => {
    const Class = warning.constructor as new(fields: object) => ConfigWarning
    return new Class({ ...warning, position: positionOf(offsetOf(tree, warning.path)) })
  })

/** Gives a problem or warning the name of its server that users can write, which is not always the one in the file. */
const named = <A extends ConfigProblem | ConfigWarning>(problem: A, server: string): A => {
  if (problem.server === server) return problem
  const Class = problem.constructor as new(fields: object) => A
  return new Class({ ...problem, server })
}

/** A server of the configuration. */
export const serverOf = (resolved: Resolved, name: string): ConfiguredServer => {
  const { entry } = resolved
  const definition = Result.mapError(
    resolved.definition,
    ({ problems: [first, ...rest] }) =>
      new ConfigError({ problems: [named(first, name), ...rest.map((problem) => named(problem, name))] })
  )
  const { file, isDisabled, offset, path, scope } = entry
  return {
    name,
    writtenName: entry.name,
    client: file.client,
    file: file.path,
    source: file.source,
    scope,
    position: file.positionOf(offset),
    path,
    written: entry.written,
    target: targetOf(entry),
    transport: kindOf(entry.draft.raw),
    isDisabled,
    definition,
    warnings: warningsOf(entry).map((warning) => named(warning, name)),
    aliases: aliasesOf(resolved),
    entry
  }
}

const errorOf = ([first, ...rest]: ReadonlyArray<ConfigProblem>): ReadonlyArray<ConfigError> =>
  first === undefined ? [] : [new ConfigError({ problems: [first, ...rest] })]

const problemsOf = (options: {
  readonly files: ReadonlyArray<FileEntries>
  readonly failed: ReadonlyArray<Failed>
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly ambiguous: ReadonlyMap<string, ReadonlyArray<string>>
}): ReadonlyArray<ConfigurationProblem> => [
  ...options.failed.flatMap(({ problem, source }) =>
    errorOf([problem]).map((error) => ({ server: undefined, file: source.path, error }))
  ),
  ...options.files.flatMap(({ file, problems }) =>
    errorOf(problems).map((error) => ({ server: undefined, file: file.path, error }))
  ),
  ...options.servers.flatMap(({ definition, file, isDisabled, name }) =>
    Result.isFailure(definition) && !isDisabled ? [{ server: name, file, error: definition.failure }] : []
  ),
  ...Array.from(options.ambiguous, ([server, candidates]) => ({
    server,
    file: undefined,
    error: ambiguousError(server, candidates)
  }))
]

/** The error of a name that means different servers. */
export const ambiguousError = (server: string, candidates: ReadonlyArray<string>): ConfigError =>
  new ConfigError({ problems: [new AmbiguousServer({ server, path: [], candidates })] })

const isUntrusted = ({ definition }: Resolved): boolean =>
  Result.isFailure(definition) && definition.failure.problems.some(({ _tag }) => _tag === "UntrustedFile")

/** Loads the configuration. Fails where a file that the caller names cannot be read or parsed. */
export const load = Effect.fnUntraced(function*(
  options: LoadOptions
): Effect.fn.Return<Configuration, ConfigError, Host> {
  const checked = checkBy(loadRules, options)
  if (checked instanceof BadOptions) return yield* checked.error
  const host = yield* Host
  const project = yield* projectOf
  const given = options.files ?? filesOfVariable(host)
  if (given !== undefined && given.length > fileLimit) {
    const expected = `a list of at most ${fileLimit} files`
    return yield* failWith([new InvalidValue({ path: ["files"], expected })])
  }
  const sources = given === undefined
    ? candidatesOf(host, project)
    : given.map((file) => explicitSource(host, file))
  const { failed, files } = yield* readAll(sources, project)
  if (given !== undefined && failed.length > 0) return yield* failWith(failed.map(({ problem }) => problem))
  const resolution = resolutionOf(options)
  const resolved = yield* Effect.forEach(
    ranked(files),
    (entry) => Effect.map(resolveEntry(entry, resolution), (definition): Resolved => ({ entry, definition }))
  )
  const naming = nameEntries(resolved)
  const untrusted = new Set(resolved.filter(isUntrusted).map(({ entry }) => entry.file))
  const servers = naming.named.map(({ name, server }) => serverOf(server, name))
  const replaced = [
    ...naming.named.flatMap(({ name, replaced }) => replaced.map((one) => serverOf(one, name))),
    ...naming.shadowed.map((one) => serverOf(one, fileAddressOf(one)))
  ]
  return {
    servers,
    replaced,
    ambiguous: naming.ambiguous,
    files: files.map(({ entries, file }): ConfigurationFile => ({
      file: file.path,
      source: file.source,
      client: file.client,
      scope: file.scope,
      isTrusted: !untrusted.has(file),
      servers: entries.length
    })),
    searched: [
      ...sources.map(({ path }) => path),
      ...resolved.flatMap(({ entry }) => envFilePathOf(host, entry) ?? [])
    ],
    problems: problemsOf({ files, failed, servers, ambiguous: naming.ambiguous }),
    warnings: servers.flatMap(({ warnings }) => warnings)
  }
})
