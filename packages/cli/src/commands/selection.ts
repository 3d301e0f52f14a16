/**
 * Selects servers by the flags and arguments of a command: configured ones by name, others by URL or by the command after `--`.
 */
import { ConfigError, DisabledServer } from "@mcp-sessions/core/ConfigError"
import { closest } from "@mcp-sessions/core/Suggestion"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as AdHoc from "../AdHoc.ts"
import { type ConfiguredServer, load } from "../ConfigFiles.ts"
import { UsageError } from "../Failure.ts"
import * as Headers from "../Headers.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { commandLine } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { CurrentRecording, serversOf } from "../Recording.ts"
import { name } from "../Shown.ts"
import { root } from "./root.ts"

/** What a command needs to select servers. */
type Selecting = Command.CommandContext<"mcp-sessions"> | FileSystem.FileSystem | Path.Path | Invocation

/** The configured servers: those of the recording that is replayed, of the held sessions, or of the configuration file that the flags select. */
export const loadServers: Effect.Effect<ReadonlyArray<ConfiguredServer>, ConfigError | UsageError, Selecting> = Effect
  .gen(function*() {
    const { config } = yield* root
    const { directory, environment } = yield* Invocation
    const recording = yield* CurrentRecording
    if (recording?.mode === "replay") {
      return yield* Effect.flatMap(serversOf(recording), Effect.forEach((name) => AdHoc.ofRecording(name)))
    }
    const held = yield* HeldSessions
    if (held === undefined) return yield* load({ file: Option.getOrUndefined(config), directory, environment })
    if (Option.isSome(config)) yield* held.refuse
    return held.servers
  })

/** Has the held sessions of servers ready for a command, before it reads or prints anything. */
const useHeld = (names: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.flatMap(HeldSessions, (held) => held?.use(names) ?? Effect.void)

/** Fails if a name is not the name of a configured server. */
export const requireKnown = (
  ...[servers, names]: readonly [ReadonlyArray<ConfiguredServer>, ReadonlyArray<string>]
): Effect.Effect<void, UsageError> => {
  const valid = servers.map(({ name }) => name)
  const [first, ...rest] = names.filter((name) => !valid.includes(name)).map((name) => unknownServer(name, valid))
  return first === undefined ? Effect.void : Effect.fail(new UsageError({ problems: [first, ...rest] }))
}

/** Selects the configured servers with the given names, or all enabled ones. */
export const selectServers = Effect.fnUntraced(function*(
  servers: ReadonlyArray<ConfiguredServer>,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, UsageError | ConfigError> {
  if (names.length === 0) {
    const enabled = servers.filter(({ config }) => !config.disabled)
    yield* useHeld(enabled.map(({ name }) => name))
    return enabled
  }
  yield* requireKnown(servers, names)
  const selected = servers.filter(({ name }) => names.includes(name))
  const [first, ...others] = selected.filter(({ config }) => config.disabled)
  if (first !== undefined) return yield* disabled(first, ...others)
  yield* useHeld(names)
  return selected
})

/** The error of a command that needs servers which are disabled. */
export const disabled = (
  ...[first, ...others]: readonly [ConfiguredServer, ...Array<ConfiguredServer>]
): ConfigError => {
  const problemOf = ({ name, source }: ConfiguredServer) => new DisabledServer({ server: name, source, path: [] })
  return new ConfigError({ problems: [problemOf(first), ...others.map(problemOf)] })
}

/** Notes that no server is configured or enabled. The command still succeeds. */
export const noteNoServers = (servers: ReadonlyArray<ConfiguredServer>): Effect.Effect<void, never, Output> =>
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

/** Splits `server/tool` after the name of a configured server. Names may contain slashes, so the longest match wins. */
export const splitTarget = (
  ...[target, servers]: readonly [target: string, servers: ReadonlyArray<ConfiguredServer>]
): Effect.Effect<{ readonly server: string; readonly tool: string | undefined }, UsageError> => {
  const names = servers.map(({ name }) => name)
  const server = names
    .filter((name) => target === name || target.startsWith(`${name}/`))
    .toSorted((a, b) => b.length - a.length)[0]
  return server === undefined
    ? Effect.fail(new UsageError({ problems: [unknownServer(target.split("/", 1)[0] ?? target, names)] }))
    : Effect.as(useHeld([server]), {
      server,
      tool: target === server ? undefined : target.slice(server.length + 1)
    })
}

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

/** Selects one server. */
export const selectServer = Effect.fnUntraced(function*(
  words: ReadonlyArray<string>
): Effect.fn.Return<Selected, UsageError | ConfigError, Selecting> {
  const described = yield* describe(words)
  if (described !== undefined) return described
  const [target, ...rest] = words
  if (target === undefined) return yield* usage("missing argument <server>", "mcp-sessions servers")
  const all = yield* loadServers
  yield* requireKnown(all, [target])
  yield* useHeld([target])
  const server = all.find(({ name }) => name === target)
  return server === undefined ? yield* usage(`unknown server "${target}"`) : { server, rest }
})

/** Selects a server, and the item of it after a slash; after a URL and before a command, the item is a word of its own. */
export const selectItem = Effect.fnUntraced(function*(options: {
  readonly words: ReadonlyArray<string>
  readonly kind: "tool" | "prompt"
}): Effect.fn.Return<Selected & { readonly item: string }, UsageError | ConfigError, Selecting> {
  const { kind, words } = options
  const described = yield* describe(words)
  if (described !== undefined) {
    const { rest: [item, ...rest], server } = described
    if (item === undefined) return yield* usage(`missing the name of a ${kind} of ${server.name}`)
    return { server, item, rest }
  }
  const [target, ...rest] = words
  if (target === undefined) return yield* usage(`missing argument <server/${kind}>`, "mcp-sessions servers")
  const all = yield* loadServers
  const { server: name, tool: item } = yield* splitTarget(target, all)
  const server = all.find((server) => server.name === name)
  if (server === undefined || item === undefined || item === "") {
    return yield* usage(`missing ${kind} name; expected ${name}/<${kind}>`, commandLine(`${kind}s`, name))
  }
  return { server, item, rest }
})

/** Selects a server or one of its tools, or all enabled servers. */
export const selectTools = Effect.fnUntraced(function*(words: ReadonlyArray<string>): Effect.fn.Return<
  {
    readonly all: ReadonlyArray<ConfiguredServer>
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
    return { all: [server], servers: [server], server, tool }
  }
  const [target, ...rest] = words
  yield* expectEnd(rest)
  const all = yield* loadServers
  if (target === undefined) return { all, servers: yield* selectServers(all, []), server: undefined, tool: undefined }
  const { server: name, tool } = yield* splitTarget(target, all)
  const servers = all.filter((server) => server.name === name)
  return { all, servers, server: servers[0], tool }
})

/** Selects the servers with the given names and URLs, the server of the command after `--`, or all enabled servers. */
export const chooseServers = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>
): Effect.fn.Return<
  { readonly all: ReadonlyArray<ConfiguredServer>; readonly servers: ReadonlyArray<ConfiguredServer> },
  UsageError | ConfigError,
  Selecting
> {
  const command = yield* AdHoc.ServerCommand
  const urls = yield* describeUrls(names.filter(AdHoc.isUrl))
  const others = names.filter((name) => !AdHoc.isUrl(name))
  if (command.length > 0) {
    if (names.length > 0) return yield* usage("name servers, or give the command of one after --, not both")
    const servers = [yield* AdHoc.ofCommand(command)]
    return { all: servers, servers }
  }
  if (urls.length > 0 && others.length === 0) return { all: urls, servers: urls }
  const all = yield* loadServers
  return { all: [...all, ...urls], servers: [...(yield* selectServers(all, others)), ...urls] }
})

/** Fails if words are left that the command does not take. */
export const expectEnd = (words: ReadonlyArray<string>): Effect.Effect<void, UsageError> =>
  words.length === 0
    ? Effect.void
    : Effect.fail(usage(`unexpected argument ${words.map((word) => `"${word}"`).join(", ")}`))

/** Returns a command that lists what a server has; `undefined` for a server that a command starts, which has no name for it. */
export const listCommand = (...[command, { config, source, name }]: readonly [string, ConfiguredServer]) =>
  source === AdHoc.source && config.transport === "stdio" ? undefined : commandLine(command, name)
