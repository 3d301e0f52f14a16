/**
 * Selects configured servers by the flags and arguments of a command.
 */
import { ConfigError, DisabledServer } from "@mcp-sessions/core/ConfigError"
import { closest } from "@mcp-sessions/core/Suggestion"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { type ConfiguredServer, load } from "../ConfigFiles.ts"
import { UsageError } from "../Failure.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { name } from "../Shown.ts"
import { root } from "./root.ts"

/** The configured servers: those of the held sessions, or of the configuration file that the flags select. */
export const loadServers: Effect.Effect<
  ReadonlyArray<ConfiguredServer>,
  ConfigError,
  Command.CommandContext<"mcp-sessions"> | FileSystem.FileSystem | Path.Path | Invocation
> = Effect.flatMap(
  Effect.all([root, Invocation, HeldSessions]),
  ([{ config }, { directory, environment }, held]) =>
    held === undefined
      ? load({ file: Option.getOrUndefined(config), directory, environment })
      : Effect.as(Option.isNone(config) ? Effect.void : held.refuse, held.servers)
)

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

/** Selects the servers with the given names, or all enabled servers. */
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
  const [disabled, ...others] = selected.filter(({ config }) => config.disabled).map(({ name, source }) =>
    new DisabledServer({ server: name, source, path: [] })
  )
  if (disabled !== undefined) return yield* new ConfigError({ problems: [disabled, ...others] })
  yield* useHeld(names)
  return selected
})

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
