/**
 * The servers of a configuration, for the registry: definitions, other names, and names that cannot be used.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { ConfigError, DisallowedCommand } from "../../ConfigError.ts"
import type { AllowCommand, ServerConfig, ServerDefinition } from "../../ServerConfig.ts"
import { isAllowed } from "../config/allowCommand.ts"
import { ambiguousError } from "./load.ts"
import type { Configuration, ConfigurationProblem, ConfiguredServer } from "./model.ts"

/** What is needed of a server. One that no file defines has no place in one. */
type MemberServer =
  & Pick<ConfiguredServer, "definition" | "name">
  & Partial<Pick<ConfiguredServer, "aliases" | "file" | "path" | "position" | "source">>

/** Servers with definitions or problems, and all else that is known of their configuration. */
export type MemberConfiguration =
  & { readonly servers: ReadonlyArray<MemberServer> }
  & Partial<Omit<Configuration, "servers">>

interface Members {
  readonly definitions: ReadonlyArray<ServerDefinition>
  readonly listed: ReadonlyArray<string>
  readonly aliases: ReadonlyMap<string, string>
  readonly broken: ReadonlyMap<string, ConfigError>
  readonly problems: ReadonlyArray<ConfigurationProblem>
}

/** The definition of a server whose program may be started. */
const allowed = (
  { definition, name, path = [], position, source }: MemberServer,
  allowCommand: AllowCommand | undefined
): Result.Result<ServerConfig, ConfigError> =>
  Result.flatMap(definition, (config) => {
    if (config.transport !== "stdio" || isAllowed(config, allowCommand)) return Result.succeed(config)
    const { args, command } = config
    const place = { source, position, server: name, path: [...path, "command"] }
    const problem = new DisallowedCommand({ ...place, command, args: Redacted.make(args) })
    return Result.fail(new ConfigError({ problems: [problem] }))
  })

/** The servers of a configuration. */
export const membersOf = ({ allowCommand, configuration }: {
  readonly configuration: MemberConfiguration
  readonly allowCommand?: AllowCommand | undefined
}): Members => {
  const { ambiguous = new Map<string, ReadonlyArray<string>>(), problems = [], replaced = [], servers } = configuration
  const checked = servers.map((server) => ({ server, definition: allowed(server, allowCommand) }))
  const names = new Set(servers.map(({ name }) => name))
  const failed = checked.flatMap(({ definition, server: { file, name } }) =>
    Result.isFailure(definition) ? [{ server: name, file, error: definition.failure }] : []
  )
  const known = new Set(problems.map(({ server }) => server))
  return {
    definitions: checked.flatMap(({ definition, server: { name } }) =>
      Result.isSuccess(definition) ? [{ name, config: definition.success }] : []
    ),
    listed: [...names],
    aliases: new Map(
      [...replaced, ...servers]
        .filter(({ name }) => names.has(name))
        .flatMap(({ aliases = [], name }: MemberServer) => aliases.map((alias): [string, string] => [alias, name]))
        .filter(([alias]) => !names.has(alias))
    ),
    broken: new Map([
      ...failed.map(({ error, server }): [string, ConfigError] => [server, error]),
      ...Array.from(ambiguous, ([name, candidates]): [string, ConfigError] => [name, ambiguousError(name, candidates)])
    ]),
    problems: [
      ...problems,
      ...failed.filter(({ error, server }) =>
        !known.has(server) && error.problems.some(({ _tag }) => _tag === "DisallowedCommand")
      )
    ]
  }
}
