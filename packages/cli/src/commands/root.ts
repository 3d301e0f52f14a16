/**
 * The flags that all commands share, and the configuration and sessions that follow from them.
 */
import { ConfigError, DisabledServer } from "@mcp-sessions/core/ConfigError"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { ConnectTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Schedule from "effect/Schedule"
import * as ConfigFiles from "../ConfigFiles.ts"
import { UsageError } from "../Failure.ts"
import * as process from "../internal/process.ts"
import { toJson } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { closest } from "../Suggestion.ts"

export const root = Command.make("mcp-sessions").pipe(
  Command.withDescription("List, check and call MCP servers."),
  Command.withSharedFlags({
    config: Flag.String("config").pipe(
      Flag.withAlias("c"),
      Flag.withDescription(`Configuration file (default: the first of ${ConfigFiles.fileNames.join(", ")})`),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print one JSON document to stdout, and errors as JSON to stderr"),
      Flag.withDefault(false)
    )
  })
)

/** Reads the configuration that the flags select. */
export const configured: Effect.Effect<
  ReadonlyArray<ConfigFiles.ConfiguredServer>,
  ConfigError,
  Command.CommandContext<"mcp-sessions"> | FileSystem.FileSystem | Path.Path
> = Effect.flatMap(root, ({ config }) =>
  ConfigFiles.load({
    file: Option.getOrUndefined(config),
    directory: process.workingDirectory(),
    environment: process.environment
  }))

/** Fails if one of the names is not a configured server. */
export const known = (
  ...[servers, names]: readonly [ReadonlyArray<ConfigFiles.ConfiguredServer>, ReadonlyArray<string>]
): Effect.Effect<void, UsageError> => {
  const valid = servers.map(({ name }) => name)
  const [first, ...rest] = names.filter((name) => !valid.includes(name)).map((name) => unknownServer(name, valid))
  return first === undefined ? Effect.void : Effect.fail(new UsageError({ problems: [first, ...rest] }))
}

/** Selects the servers with the given names, or all enabled servers. */
export const select = Effect.fnUntraced(function*(
  servers: ReadonlyArray<ConfigFiles.ConfiguredServer>,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfigFiles.ConfiguredServer>, UsageError | ConfigError> {
  if (names.length === 0) return servers.filter(({ config }) => !config.disabled)
  yield* known(servers, names)
  const selected = servers.filter(({ name }) => names.includes(name))
  const [disabled, ...others] = selected.filter(({ config }) => config.disabled).map(({ name, source }) =>
    new DisabledServer({ server: name, source, path: [] })
  )
  if (disabled !== undefined) return yield* new ConfigError({ problems: [disabled, ...others] })
  return selected
})

/** Notes that no server is configured or enabled. The command still succeeds. */
export const noteNoServers = (
  servers: ReadonlyArray<ConfigFiles.ConfiguredServer>
): Effect.Effect<void, never, Output> =>
  Effect.flatMap(
    Output,
    ({ note }) => note(servers.length === 0 ? "no servers are configured" : "all configured servers are disabled")
  )

export const unknownServer = (...[name, known]: readonly [name: string, known: ReadonlyArray<string>]): string => {
  const meant = closest(name, known)
  return `unknown server ${name}, ${
    meant === undefined
      ? `expected ${
        known.length > 1 ? `one of ${known.join(", ")}` : known[0] ?? "a configured server, but none are configured"
      }`
      : `did you mean ${meant}?`
  }`
}

/** The flag `--timeout`: a number of seconds or a duration with a unit. */
export const timeout = (description: string) =>
  Flag.String("timeout").pipe(
    Flag.withDescription(`${description}, as "5 seconds", "500ms" or a number of seconds (default: 60 seconds)`),
    Flag.mapEffect((text) => {
      const duration = durationOf(text)
      const expected = "a duration such as 5s, 500ms or 2 minutes"
      return duration === undefined
        ? Effect.fail(new CliError.InvalidValue({ option: "timeout", value: text, expected, kind: "flag" }))
        : Effect.succeed(duration)
    }),
    Flag.withDefault(Duration.seconds(60))
  )

const units: Record<string, Duration.Unit> = { ms: "millis", s: "seconds", m: "minutes", h: "hours" }

const durationOf = (text: string): Duration.Duration | undefined => {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim()) ?? []
  if (amount === undefined) return undefined
  const name = unit === "" ? "seconds" : units[unit] ?? unit
  const duration = Option.getOrUndefined(Duration.fromInput(`${Number(amount)} ${name as Duration.Unit}`))
  return duration !== undefined && Duration.toMillis(duration) > 0 ? duration : undefined
}

/** Provides `Sessions` for the servers, with all timeouts capped at `limit`. */
export const withSessions = (options: {
  readonly servers: ReadonlyArray<ConfigFiles.ConfiguredServer>
  readonly limit: Duration.Duration
  readonly retry: RetryPolicy.RetryPolicy
}) =>
<A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const limited = (duration: Duration.Duration) => Duration.min(duration, options.limit)
  const servers = Object.fromEntries(options.servers.map(({ config, name }) => [name, {
    ...config,
    connectTimeout: Duration.max(limited(config.connectTimeout), Duration.millis(100)),
    requestTimeout: limited(config.requestTimeout),
    totalTimeout: limited(config.totalTimeout)
  }]))
  // Only commands that connect load the transports, which makes the others start faster.
  const transports = Layer.unwrap(
    Effect.map(Effect.promise(() => import("@mcp-sessions/transports/Transports")), ({ layer }) => layer)
  )
  return Effect.provide(effect, Sessions.layer({ servers, retry: options.retry }).pipe(Layer.provide(transports)))
}

/**
 * Limits the time of an effect that uses one server. At the limit it fails with the latest error of the server, if there is one, since
 * that says more than a timeout.
 */
export const withTimeLimit =
  (options: { readonly server: string; readonly limit: Duration.Duration }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigError | SessionError, R | Sessions.Sessions> =>
    Effect.timeoutOrElse(effect, {
      // Slightly longer than the limits of the single steps, whose timeouts say more.
      duration: Duration.sum(options.limit, Duration.millis(100)),
      orElse: () =>
        Effect.flatMap(
          Sessions.Sessions,
          ({ status }) =>
            Effect.flatMap(status(options.server), ({ health: { lastError } }) => {
              const { limit, server } = options
              const reason = new ConnectTimeout({ timeout: Duration.toMillis(limit) })
              return Effect.fail(lastError ?? new SessionError({ server, reason }))
            })
        )
    })

/** The default retry policy, with a note on stderr for each retry, as JSON if `json` is set. */
export const withRetryNotes = (json: boolean): Effect.Effect<RetryPolicy.RetryPolicy, never, Output> =>
  Effect.map(Output, (output) =>
    RetryPolicy.retryDefault.pipe(
      Schedule.tap(({ attempt, input: { reason, server } }) =>
        output.note(
          json
            ? toJson({ retry: { server, attempt, code: reason._tag } })
            : output.styleNote("yellow", `retrying ${server} (${attempt}): ${reason._tag}`)
        )
      )
    ))
