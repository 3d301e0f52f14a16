/**
 * Selects servers by the flags and arguments of a command: configured ones by name, others by URL or by the command after `--`.
 */
import { ConfigError, type ConfigProblem, DisabledServer, MissingDocument } from "@mcp-sessions/core/ConfigError"
import * as ConfigFile from "@mcp-sessions/core/ConfigFile"
import type { Host } from "@mcp-sessions/core/Host"
import { closest } from "@mcp-sessions/core/Suggestion"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as AdHoc from "../AdHoc.ts"
import { questions } from "../ConfigQuestions.ts"
import {
  allNamesIn,
  type Configured,
  type ConfiguredServer,
  errorOf,
  fromConfiguration,
  fromEntry,
  fromServers,
  namesIn,
  usableOf
} from "../Configured.ts"
import { UsageError } from "../Failure.ts"
import * as Headers from "../Headers.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { refuseMemo } from "../internal/launch/currentLaunch.ts"
import { commandLine } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { CurrentRecording, serversOf } from "../Recording.ts"
import { name } from "../Shown.ts"
import { root } from "./root.ts"

/** What a command needs to select servers. */
type Selecting =
  | Command.CommandContext<"mcp-sessions">
  | FileSystem.FileSystem
  | Host
  | Invocation
  | Output
  | Path.Path

/** Reads the configuration files that the flags select, or those of the project and of the user, of which there must be one. */
export const loadConfiguration: Effect.Effect<
  ConfigFile.Configuration,
  ConfigError,
  Command.CommandContext<"mcp-sessions"> | Host | Invocation
> = Effect.gen(function*() {
  const { config, trust } = yield* root
  const configuration = yield* ConfigFile.load({
    files: config.length === 0 ? undefined : config,
    trust: trust ? "all" : undefined
  })
  if (configuration.files.length > 0) return configuration
  const [first, ...rest] = configuration.problems.flatMap(({ error }): ReadonlyArray<ConfigProblem> => error.problems)
  if (first !== undefined) return yield* new ConfigError({ problems: [first, ...rest] })
  const { directory } = yield* Invocation
  const names = [...ConfigFile.fileNames, ".mcp.json"].join(", ")
  const fact = `no configuration file found in ${directory} or for the user (${names}, or a file of another MCP client)`
  return yield* new ConfigError({ problems: [new MissingDocument({ path: [], fact })] })
})

/** The configured servers: those of the recording that is replayed, of the held sessions, or of the configuration. */
export const loadConfigured: Effect.Effect<Configured, ConfigError | UsageError, Selecting> = Effect.gen(function*() {
  const recording = yield* CurrentRecording
  if (recording?.mode === "replay") {
    return fromServers(
      yield* Effect.flatMap(serversOf(recording), Effect.forEach((name) => AdHoc.ofRecording(name)))
    )
  }
  const held = yield* HeldSessions
  if (held === undefined) return fromConfiguration(yield* loadConfiguration)
  const { config } = yield* root
  if (config.length > 0) yield* held.refuse
  return held.configured
})

/** Has the held sessions of servers ready for a command, before it reads or prints anything. */
const useHeld = (servers: ReadonlyArray<ConfiguredServer>): Effect.Effect<void> =>
  Effect.flatMap(HeldSessions, (held) => held?.use(servers.map(({ name }) => name)) ?? Effect.void)

/** Whether the definition is bad for every command. Trust, variables and inputs may be another matter for the next one. */
const isInvalid = ({ definition }: ConfiguredServer): boolean =>
  Result.isFailure(definition) &&
  !definition.failure.problems.every(({ _tag }) =>
    _tag === "UntrustedFile" || _tag === "MissingVariable" || _tag === "MissingInput"
  )

/** Finds servers by name. Fails with all names that are unknown or mean several servers. */
export const findServers = (
  ...[configured, names]: readonly [Configured, ReadonlyArray<string>]
): Effect.Effect<ReadonlyArray<ConfiguredServer>, UsageError | ConfigError> => {
  const found = names.map((target) => ({ target, result: ConfigFile.find({ configuration: configured, target }) }))
  const failed = found.flatMap(({ result, target }) =>
    Result.isFailure(result) ? [{ target, problems: result.failure.problems }] : []
  )
  const problems = failed.flatMap(({ problems }): ReadonlyArray<ConfigProblem> => problems)
  const [problem, ...rest] = problems
  const [first, ...others] = failed.map(({ target }) => unknownServer(target, namesIn(configured)))
  if (problem === undefined || first === undefined) {
    return Effect.succeed([...new Set(found.flatMap(({ result }) => Result.isSuccess(result) ? [result.success] : []))])
  }
  return problems.every(({ _tag }) => _tag === "UnknownServer")
    ? Effect.fail(new UsageError({ problems: [first, ...others] }))
    : Effect.fail(new ConfigError({ problems: [problem, ...rest] }))
}

/** Asks for what the servers need, if a user is there to answer: trust in their files, and values of inputs. */
const prepared = Effect.fnUntraced(function*(servers: ReadonlyArray<ConfiguredServer>) {
  const entries = servers.flatMap(({ entry }) => entry === undefined ? [] : [entry])
  const asking = yield* questions(entries)
  if (asking === undefined) return servers
  yield* refuseMemo
  const answered = yield* ConfigFile.resolve({ servers: entries, ...asking })
  const byName = new Map(answered.map((entry) => [entry.name, fromEntry(entry)]))
  return servers.map((server) => server.entry === undefined ? server : byName.get(server.name) ?? server)
})

/** Prepares servers that a command needs: each of them must be enabled and have a definition without problems. */
const prepareNamed = Effect.fnUntraced(function*(
  selected: ReadonlyArray<ConfiguredServer>
): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, ConfigError, Selecting> {
  const [first, ...others] = selected.filter(({ isDisabled }) => isDisabled)
  if (first !== undefined) return yield* disabled(first, ...others)
  yield* useHeld(selected)
  const servers = yield* prepared(selected)
  const error = errorOf(servers)
  return error === undefined ? servers : yield* error
})

/**
 * Selects the configured servers with the given names, or all enabled ones. A server that cannot be used has the problems in its place:
 * one bad entry does not keep a command from the others. Fails if names were given and none of their servers can be used.
 */
export const selectServers = Effect.fnUntraced(function*(
  configured: Configured,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, UsageError | ConfigError, Selecting> {
  const found = names.length > 0
    ? yield* findServers(configured, names)
    : configured.servers.filter(({ isDisabled }) => !isDisabled)
  const enabled = found.filter(({ isDisabled }) => !isDisabled)
  yield* useHeld(enabled.filter((server) => !isInvalid(server)))
  const byName = new Map((yield* prepared(enabled)).map((server) => [server.name, server]))
  const servers = found.map((server): ConfiguredServer =>
    byName.get(server.name) ?? { ...server, definition: Result.fail(disabled(server)) }
  )
  const error = names.length > 0 && usableOf(servers).length === 0 ? errorOf(servers) : undefined
  return error === undefined ? servers : yield* error
})

/** The error of a command that needs servers which are disabled. */
export const disabled = (
  ...[first, ...others]: readonly [ConfiguredServer, ...Array<ConfiguredServer>]
): ConfigError => {
  const problemOf = ({ name, source }: ConfiguredServer) => new DisabledServer({ server: name, source, path: [] })
  return new ConfigError({ problems: [problemOf(first), ...others.map(problemOf)] })
}

/** Notes that no server is configured or enabled. The command still succeeds. */
export const noteNoServers = ({ servers }: Configured): Effect.Effect<void, never, Output> =>
  Effect.flatMap(
    Output,
    ({ note }) => note(name(servers.length === 0 ? "no servers are configured" : "all configured servers are disabled"))
  )

const unknownServer = (...[name, known]: readonly [name: string, known: ReadonlyArray<string>]): string => {
  const suggestion = closest(name, known)
  const advice = suggestion !== undefined
    ? `did you mean "${suggestion}"?`
    : known.length === 0
    ? "no servers are configured"
    : `configured servers: ${known.join(", ")}`
  return `unknown server "${name}"; ${advice}`
}

/** The longest name of a configured server that a target is, or begins with before a slash. */
const serverNameIn = (...[target, configured]: readonly [target: string, configured: Configured]) =>
  allNamesIn(configured)
    .filter((name) => target === name || target.startsWith(`${name}/`))
    .toSorted((a, b) => b.length - a.length)[0]

/** Whether all targets with this first part are of the server with that name. */
const isNamedByFirstPart = (...[name, configured]: readonly [name: string, configured: Configured]): boolean =>
  !name.includes("/") && !allNamesIn(configured).some((other) => other.startsWith(`${name}/`))

/** Splits `server/item` after the name of a configured server, and finds the server. Names may contain slashes, so the longest match wins. */
const splitTarget = Effect.fnUntraced(function*(
  target: string,
  configured: Configured
): Effect.fn.Return<
  { readonly server: ConfiguredServer; readonly name: string; readonly item: string | undefined },
  UsageError | ConfigError,
  Selecting
> {
  const name = serverNameIn(target, configured) ?? target.split("/", 1)[0] ?? target
  // The memo of a launch is found by the part of the target before its first slash.
  if (!isNamedByFirstPart(name, configured)) yield* refuseMemo
  const server = yield* single(yield* prepareNamed(yield* findServers(configured, [name])))
  return { server, name, item: target === name ? undefined : target.slice(name.length + 1) }
})

/** The one server that one name finds. */
const single = ([server]: ReadonlyArray<ConfiguredServer>): Effect.Effect<ConfiguredServer> =>
  server === undefined ? Effect.die(new Error("one name finds one server")) : Effect.succeed(server)

const usage = (problem: string, hint?: string): UsageError => new UsageError({ problems: [problem], hint })

/** A server, and the words after the one that names it. */
interface Selected {
  readonly server: ConfiguredServer
  readonly rest: ReadonlyArray<string>
}

/** Describes the servers of the command after `--`, and of URLs. The headers are for them. */
const describeUrls = Effect.fnUntraced(function*(
  urls: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, UsageError, Selecting> {
  const { header } = yield* root
  if (urls.length === 0 && header.length > 0) {
    return yield* usage("--header: only for a server that is given by its URL")
  }
  const headers = yield* Headers.parse(header)
  return yield* Effect.forEach(urls, (url) => AdHoc.ofUrl({ url, headers }))
})

/** Describes the server that the words describe; `undefined` if they name a configured one. */
const describe = Effect.fnUntraced(function*(
  words: ReadonlyArray<string>
): Effect.fn.Return<Selected | undefined, UsageError, Selecting> {
  const command = yield* AdHoc.ServerCommand
  const [first = "", ...rest] = words
  const isUrl = command.length === 0 && AdHoc.isUrl(first)
  const [server] = yield* describeUrls(isUrl ? [first] : [])
  if (server !== undefined) return { server, rest }
  return command.length === 0 ? undefined : { server: yield* AdHoc.ofCommand(command), rest: words }
})

/** The error of `server/item` for a command that takes the item as a word of its own; `undefined` for any other target. */
const joinedItem = (options: {
  readonly target: string
  readonly configured: Configured
  readonly command: string
}): UsageError | undefined => {
  const { command, configured, target } = options
  const name = serverNameIn(target, configured)
  return name === undefined || name === target
    ? undefined
    : usage(`unknown server "${target}"`, commandLine(command, name, target.slice(name.length + 1)))
}

/** Selects one server. `itemCommand` is the command, if it takes an item of the server after it. */
export const selectServer = Effect.fnUntraced(function*(
  words: ReadonlyArray<string>,
  itemCommand?: string
): Effect.fn.Return<Selected, UsageError | ConfigError, Selecting> {
  const described = yield* describe(words)
  if (described !== undefined) return described
  const [target, ...rest] = words
  if (target === undefined) return yield* usage("missing argument <server>", "mcp-sessions servers")
  const configured = yield* loadConfigured
  const joined = itemCommand === undefined || rest.length > 0
    ? undefined
    : joinedItem({ target, configured, command: itemCommand })
  if (joined !== undefined) return yield* joined
  const found = yield* findServers(configured, [target])
  return { server: yield* single(yield* prepareNamed(found)), rest }
})

/** Selects a server, and the item of it after a slash; after a URL and before a command, the item is a word of its own. */
export const selectItem = Effect.fnUntraced(function*(options: {
  readonly words: ReadonlyArray<string>
  readonly kind: "tool" | "prompt"
  /** The command, for advice. */
  readonly command: string
}): Effect.fn.Return<Selected & { readonly item: string }, UsageError | ConfigError, Selecting> {
  const { command, kind, words } = options
  const described = yield* describe(words)
  if (described !== undefined) {
    const { rest: [item, ...rest], server } = described
    if (item === undefined) return yield* usage(`missing the name of a ${kind} of ${server.name}`)
    return { server, item, rest }
  }
  const [target, ...rest] = words
  if (target === undefined) return yield* usage(`missing argument <server/${kind}>`, "mcp-sessions servers")
  const { item, name, server } = yield* splitTarget(target, yield* loadConfigured)
  if (item === undefined || item === "") {
    const [next] = rest
    // `call server tool` is what other command lines take.
    const hint = next === undefined || next.includes("=")
      ? commandLine(`${kind}s`, name)
      : commandLine(command, `${name}/${next}`, ...rest.slice(1))
    return yield* usage(`missing ${kind} name; expected ${name}/<${kind}>`, hint)
  }
  return { server, item, rest }
})

/** Selects a server or one of its tools, or all enabled servers. */
export const selectTools = Effect.fnUntraced(function*(words: ReadonlyArray<string>): Effect.fn.Return<
  {
    readonly all: Configured
    readonly servers: ReadonlyArray<ConfiguredServer>
    readonly server: ConfiguredServer | undefined
    readonly tool: string | undefined
  },
  UsageError | ConfigError,
  Selecting
> {
  const described = yield* describe(words)
  if (described !== undefined) {
    const { rest: [tool, ...rest], server } = described
    yield* expectEnd(rest)
    return { all: fromServers([server]), servers: [server], server, tool }
  }
  const [target, ...rest] = words
  yield* expectEnd(rest)
  const all = yield* loadConfigured
  if (target === undefined) return { all, servers: yield* selectServers(all, []), server: undefined, tool: undefined }
  const { item, server } = yield* splitTarget(target, all)
  return { all, servers: [server], server, tool: item }
})

/** Selects the servers with the given names and URLs as {@link selectServers} does, the server of the command after `--`, or all enabled servers. */
export const chooseServers = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>
): Effect.fn.Return<
  { readonly all: Configured; readonly servers: ReadonlyArray<ConfiguredServer> },
  UsageError | ConfigError,
  Selecting
> {
  const command = yield* AdHoc.ServerCommand
  const urls = yield* describeUrls(names.filter(AdHoc.isUrl))
  const others = names.filter((name) => !AdHoc.isUrl(name))
  if (command.length > 0) {
    if (names.length > 0) return yield* usage("name servers, or give the command of one after --, not both")
    const servers = [yield* AdHoc.ofCommand(command)]
    return { all: fromServers(servers), servers }
  }
  if (urls.length > 0 && others.length === 0) return { all: fromServers(urls), servers: urls }
  const all = yield* loadConfigured
  const servers = [...(yield* selectServers(all, others)), ...urls]
  return { all: { ...all, servers: [...all.servers, ...urls] }, servers }
})

/** Fails if words are left that the command does not take. */
export const expectEnd = (words: ReadonlyArray<string>): Effect.Effect<void, UsageError> =>
  words.length === 0
    ? Effect.void
    : Effect.fail(usage(`unexpected argument ${words.map((word) => `"${word}"`).join(", ")}`))

/** Returns a command that lists what a server has; `undefined` for a server that a command starts, which has no name for it. */
export const listCommand = (...[command, { name, source, transport }]: readonly [string, ConfiguredServer]) =>
  source === AdHoc.source && transport === "stdio" ? undefined : commandLine(command, name)
