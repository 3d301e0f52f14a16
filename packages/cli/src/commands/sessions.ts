/**
 * Provides sessions to a command, with the stored sign-ins, a time limit and a note for each retry.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { ConnectTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { ConfiguredServer } from "../ConfigFiles.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { limitSessions } from "../internal/limitedSessions.ts"
import { firstLine } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { cut, line, name } from "../Shown.ts"
import { type InteractiveConsent, transports } from "../SignIn.ts"

/** What a command needs of its sessions. */
interface SessionOptions {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly limit: Duration.Duration
  readonly retry: RetryPolicy.RetryPolicy
  readonly consent?: InteractiveConsent | undefined
}

/** Layer of sessions that are opened for one command, with all timeouts capped at its limit. */
const ownSessions = ({ consent, limit, retry, servers }: SessionOptions) => {
  const limited = (duration: Duration.Duration) => Duration.min(duration, limit)
  const definitions = Object.fromEntries(servers.map(({ config, name }) => [name, {
    ...config,
    connectTimeout: Duration.max(limited(config.connectTimeout), Duration.millis(100)),
    requestTimeout: limited(config.requestTimeout),
    totalTimeout: limited(config.totalTimeout)
  }]))
  return Sessions.layer({ servers: definitions, retry }).pipe(Layer.provide(transports(consent)))
}

/**
 * Provides `Sessions` for the servers, with all timeouts capped at `limit`: the held ones, or new ones. A server that calls for a sign-in fails,
 * unless there is a `consent`.
 */
export const withSessions = (options: SessionOptions) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(HeldSessions, (held) => {
    ExactNumbers.keep()
    // A sign-in asks its own user, so it has a connection of its own.
    if (held === undefined || options.consent !== undefined) return Effect.provide(effect, ownSessions(options))
    const timeouts = new Map(options.servers.map(({ config, name }) => [name, config.requestTimeout]))
    const sessions = limitSessions(held.sessions, {
      limit: options.limit,
      retry: options.retry,
      requestTimeout: (server) => timeouts.get(server) ?? options.limit
    })
    return Effect.andThen(
      held.use([...timeouts.keys()]),
      Effect.provideService(effect, Sessions.Sessions, sessions)
    )
  })

/**
 * Limits the time of an effect that uses one server. At the limit, it fails with the latest error of the server, which says more than
 * a timeout, or with a timeout if there was no error.
 */
export const withTimeLimit =
  (options: { readonly server: string; readonly limit: Duration.Duration }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigError | SessionError, R | Sessions.Sessions> =>
    Effect.timeoutOrElse(effect, {
      // Slightly longer than the limits of connecting and of requests, whose timeouts say more.
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
      Schedule.tap(({ attempt, input: { message, reason, server } }) =>
        json
          ? output.noteJson({ retry: { server, attempt, code: reason._tag } })
          : output.note(output.styleNote("yellow", line`${cut(name(firstLine(message)), 200)}; retry ${attempt}`))
      )
    ))
