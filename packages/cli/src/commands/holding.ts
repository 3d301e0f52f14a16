/**
 * What `with` and `up` share: the servers that they hold, and how their sessions are opened.
 */
import { ClientHandlers } from "@mcp-sessions/core/ClientHandlers"
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type Configured, type ConfiguredServer, errorOf } from "../Configured.ts"
import { type Failure, UsageError } from "../Failure.ts"
import { envelope, lines } from "../FailureText.ts"
import type { ListenFailed } from "../internal/socket/listen.ts"
import * as LogBook from "../LogBook.ts"
import { Output } from "../Output.ts"
import { makeSwitchboard } from "../Questions.ts"
import { line } from "../Shown.ts"
import { type InteractiveConsent, transports } from "../SignIn.ts"
import { root, timeout } from "./root.ts"
import { withRetryNotes } from "./sessions.ts"

export const holdingFlags = {
  bestEffort: Flag.Boolean("best-effort").pipe(
    Flag.withDescription("Go on without the servers that cannot be opened, and connect to them in the background"),
    Flag.withDefault(false)
  ),
  timeout: timeout("Time limit for connecting to each server")
}

/** Splits names that were joined by commas, unless a server has such a name. */
export const splitNames = (
  ...[names, configured]: readonly [names: ReadonlyArray<string>, configured: Configured]
): ReadonlyArray<string> =>
  names.flatMap((name) => configured.servers.some((server) => server.name === name) ? [name] : name.split(","))
    .filter((name) => name !== "")

/** Fails with the problems of all servers that cannot be used, before anything is started or listens. */
export const refuseUnusable = (servers: ReadonlyArray<ConfiguredServer>): Effect.Effect<void, ConfigError> => {
  const unusable = errorOf(servers)
  return unusable === undefined ? Effect.void : Effect.fail(unusable)
}

/**
 * Opens the sessions of servers in parallel, for as long as the scope. Notes the problems of servers that cannot be used. Fails with the errors of all servers
 * that cannot be opened, unless `bestEffort` is set: then it returns their names.
 */
export const openSessions = Effect.fnUntraced(function*(options: {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly limit: Duration.Duration
  readonly bestEffort: boolean
  readonly consent?: InteractiveConsent | undefined
}) {
  const { bestEffort, consent, limit, servers } = options
  const output = yield* Output
  const { json } = yield* root
  const note = (error: Failure) =>
    json ? output.noteJson({ error: envelope(error) }) : Effect.forEach(lines(error), output.note, { discard: true })
  const unusable = errorOf(servers)
  if (unusable !== undefined) yield* note(unusable)
  ExactNumbers.keep()
  const usable = servers.map(({ aliases, definition, name }) => ({
    name,
    aliases,
    definition: Result.map(definition, (config) => ({
      ...config,
      connectTimeout: Duration.max(Duration.min(config.connectTimeout, limit), Duration.millis(100))
    }))
  })).filter(({ definition }) => Result.isSuccess(definition))
  const switchboard = makeSwitchboard()
  const logs = yield* LogBook.make("info")
  const handlers = Layer.succeed(ClientHandlers, { ...switchboard.handlers, ...logs.handlers })
  const layer = Sessions.layerConfiguration({ configuration: { servers: usable }, retry: yield* withRetryNotes(json) })
  const sessions = Context.get(
    yield* Layer.build(Layer.provide(layer, Layer.merge(transports({ servers, consent }), handlers))),
    Sessions.Sessions
  )
  const pending = new Set(usable.map(({ name }) => name))
  const failed = new Set<string>()
  const progress = Effect.suspend(() =>
    output.progress(pending.size === 0 ? undefined : line`connecting to ${[...pending].join(", ")} …`)
  )
  yield* progress
  yield* sessions.openAll({ mode: bestEffort ? "best-effort" : "strict" }).pipe(
    Stream.runForEach((opened) =>
      Effect.gen(function*() {
        pending.delete(opened.server)
        if (opened._tag === "Failed") failed.add(opened.server)
        if (opened._tag === "Failed" && bestEffort) yield* note(opened.error)
        yield* progress
      })
    ),
    Effect.ensuring(output.progress(undefined))
  )
  return { sessions, switchboard, logs, failed }
})

/** Words a failure to listen as an error of this program. */
export const toUsageError = ({ description, kind }: ListenFailed): UsageError =>
  kind === "Taken"
    ? new UsageError({
      problems: [`the sessions of this project are already held: ${description}`],
      hint: "mcp-sessions status"
    })
    : new UsageError({ problems: [description] })
