/**
 * The servers that a command can use: those of configuration files, and those that the words of the command describe.
 *
 * @since 0.1.0
 */
import { ConfigError, type ConfigProblem } from "@mcp-sessions/core/ConfigError"
import type * as ConfigFile from "@mcp-sessions/core/ConfigFile"
import type { ServerConfig, ServerDefinition } from "@mcp-sessions/core/ServerConfig"
import * as Result from "effect/Result"

/**
 * A server that a command can use.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfiguredServer extends
  Pick<
    ConfigFile.ConfiguredServer,
    "aliases" | "definition" | "isDisabled" | "name" | "source" | "target" | "transport"
  >
{
  /** The entry of its file. `undefined`: the words of a command describe the server, or a recording does. */
  readonly entry: ConfigFile.ConfiguredServer | undefined
}

/**
 * All servers that the words of a command can name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Configured extends Pick<ConfigFile.Configuration, "ambiguous" | "problems" | "searched"> {
  readonly servers: ReadonlyArray<ConfiguredServer>
  /** Entries that a nearer file replaces. Their longer names still find them. */
  readonly replaced: ReadonlyArray<ConfiguredServer>
}

/**
 * Takes servers that have one name each.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromServers = (servers: ReadonlyArray<ConfiguredServer>): Configured => ({
  servers,
  replaced: [],
  ambiguous: new Map(),
  problems: [],
  searched: []
})

/**
 * Takes a server of a configuration file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEntry = (entry: ConfigFile.ConfiguredServer): ConfiguredServer => {
  const { aliases, definition, isDisabled, name, source, target, transport } = entry
  return { aliases, definition, isDisabled, name, source, target, transport, entry }
}

/**
 * Takes a server that no file defines. `source` says where it comes from.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDefinition = (
  { config, name, source }: ServerDefinition & { readonly source: string }
): ConfiguredServer => ({
  name,
  aliases: [],
  source,
  target: name,
  transport: config.transport,
  isDisabled: config.disabled,
  definition: Result.succeed(config),
  entry: undefined
})

/**
 * Takes the servers of configuration files.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfiguration = (configuration: ConfigFile.Configuration): Configured => ({
  servers: configuration.servers.map(fromEntry),
  replaced: configuration.replaced.map(fromEntry),
  ambiguous: configuration.ambiguous,
  problems: configuration.problems,
  searched: configuration.searched
})

/**
 * Returns the names of servers that a user can write.
 *
 * @category getters
 * @since 0.1.0
 */
export const namesIn = ({ ambiguous, servers }: Configured): ReadonlyArray<string> => [
  ...servers.map(({ name }) => name),
  ...ambiguous.keys()
]

/**
 * Returns the names of servers, and their longer ones.
 *
 * @category getters
 * @since 0.1.0
 */
export const allNamesIn = (configured: Configured): ReadonlyArray<string> => [
  ...namesIn(configured),
  ...[...configured.servers, ...configured.replaced].flatMap(({ aliases }) => aliases)
]

/**
 * Puts servers in the places of those with their names, as they are once a user has answered what they ask. Those with problems stay as they were.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withAnswers = (
  ...[configured, answered]: readonly [configured: Configured, answered: ReadonlyArray<ConfiguredServer>]
): Configured => {
  const byName = new Map(usableOf(answered).map((server) => [server.name, server]))
  return {
    ...configured,
    servers: configured.servers.map((server) => byName.get(server.name) ?? server),
    problems: configured.problems.filter(({ server }) => server === undefined || !byName.has(server))
  }
}

/**
 * Gives the definition of a server, unless it has problems.
 *
 * @category getters
 * @since 0.1.0
 */
export const configOf = ({ definition }: ConfiguredServer): ServerConfig | undefined =>
  Result.isSuccess(definition) ? definition.success : undefined

/**
 * Returns the servers whose definitions have no problems.
 *
 * @category getters
 * @since 0.1.0
 */
export const usableOf = (servers: ReadonlyArray<ConfiguredServer>): ReadonlyArray<ConfiguredServer> =>
  servers.filter(({ definition }) => Result.isSuccess(definition))

/**
 * Joins the problems of servers into one error. `undefined`: all servers can be used.
 *
 * @category getters
 * @since 0.1.0
 */
export const errorOf = (servers: ReadonlyArray<ConfiguredServer>): ConfigError | undefined => {
  const [first, ...rest] = servers.flatMap(({ definition }): ReadonlyArray<ConfigProblem> =>
    Result.isFailure(definition) ? definition.failure.problems : []
  )
  return first === undefined ? undefined : new ConfigError({ problems: [first, ...rest] })
}
