/**
 * The flags that all commands share, and how commands get at what the flags lead to.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { ConnectTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as ConfigFiles from "../ConfigFiles.ts"
import { UsageError } from "../Failure.ts"
import * as process from "../internal/process.ts"
import { Output } from "../Output.ts"
import { closest } from "../Suggestion.ts"

export const root = Command.make("mcp-sessions").pipe(
  Command.withDescription("Talk to MCP servers: what is configured, what works, what they offer, what they answer."),
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

/** The configuration that the flags lead to. */
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

/** The servers of the given names, or all that are not disabled. */
export const select = Effect.fnUntraced(function*(
  servers: ReadonlyArray<ConfigFiles.ConfiguredServer>,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfigFiles.ConfiguredServer>, UsageError> {
  if (names.length === 0) return servers.filter(({ config }) => !config.disabled)
  const known = servers.map(({ name }) => name)
  const unknown = names.filter((name) => !known.includes(name)).map((name) => unknownServer(name, known))
  const [first, ...rest] = unknown
  if (first !== undefined) return yield* new UsageError({ problems: [first, ...rest] })
  return servers.filter(({ name }) => names.includes(name))
})

export const unknownServer = (...[name, known]: readonly [name: string, known: ReadonlyArray<string>]): string => {
  const meant = closest(name, known)
  return `unknown server ${name}, ${
    meant === undefined
      ? `expected ${known.length === 0 ? "none" : `one of ${known.join(", ")}`}`
      : `did you mean ${meant}?`
  }`
}

/** `--timeout`, as a number of seconds or with a unit. */
export const timeout = (description: string) =>
  Flag.String("timeout").pipe(
    Flag.withDescription(`${description}, as "5 seconds", "500ms" or a number of seconds (default: 60 seconds)`),
    Flag.withSchema(Schema.String.check(Schema.makeFilter((text: string) => durationOf(text) !== undefined))),
    Flag.map((text) => durationOf(text) ?? Duration.seconds(60)),
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

/** Provides sessions of the servers, none of which takes longer than `limit` for anything. */
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
  // The engine is loaded by the commands that connect, not by those that only read the configuration.
  const transports = Layer.unwrap(
    Effect.map(Effect.promise(() => import("@mcp-sessions/transports/Transports")), ({ layer }) => layer)
  )
  return Effect.provide(effect, Sessions.layer({ servers, retry: options.retry }).pipe(Layer.provide(transports)))
}

/**
 * Limits all that is done with a server. What is told at the end of the time is what went wrong before, if anything did,
 * rather than that the time is over.
 */
export const within =
  (options: { readonly server: string; readonly limit: Duration.Duration }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigError | SessionError, R | Sessions.Sessions> =>
    Effect.timeoutOrElse(effect, {
      // A little later than the limits of the single steps, which know more about what they waited for.
      duration: Duration.sum(options.limit, Duration.millis(100)),
      orElse: () =>
        Effect.flatMap(Sessions.Sessions, ({ health }) =>
          Effect.flatMap(health(options.server), ({ lastError }) => {
            const { limit, server } = options
            const reason = new ConnectTimeout({ timeout: Duration.toMillis(limit) })
            return Effect.fail(lastError ?? new SessionError({ server, reason }))
          }))
    })

/** The default retry policy, which says what it does. */
export const retryAloud: Effect.Effect<RetryPolicy.RetryPolicy, never, Output> = Effect.map(
  Output,
  (output) =>
    RetryPolicy.retryDefault.pipe(
      Schedule.tap(({ attempt, input }) =>
        output.note(output.styleNote("yellow", `retrying ${input.server} (${attempt}): ${input.reason._tag}`))
      )
    )
)
