/**
 * Provides sessions to a command, with the stored sign-ins, a time limit and a note for each retry.
 */
import { ClientHandlers, type Handlers } from "@mcp-sessions/core/ClientHandlers"
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { ConnectTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { configOf, type ConfiguredServer, usableOf } from "../Configured.ts"
import type { UsageError } from "../Failure.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { limitSessions } from "../internal/limitedSessions.ts"
import { firstLine } from "../internal/text.ts"
import type { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { CurrentSwitchboard, makeSwitchboard } from "../Questions.ts"
import { withRecording } from "../Recording.ts"
import { cut, line, name } from "../Shown.ts"
import { type InteractiveConsent, transports } from "../SignIn.ts"

/** How long closing may take at least, also when the time limit of the command is over. */
const closeTimeout = Duration.millis(500)

/**
 * Gives the outcome of an effect, and then closes what it used: for at most the rest of the limit. After that the closing goes on in the
 * background, and the end of this process ends the servers that are left. Interruption waits for all of it.
 */
const closeWithin = <A, E, R>(options: {
  readonly limit: Duration.Duration
  /** Uses something, reports the outcome, and closes what was used. */
  readonly run: (report: (exit: Exit.Exit<A, E>) => Effect.Effect<void>) => Effect.Effect<A, E, R>
}): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const { limit, run } = options
    const startedAt = yield* Clock.monotonicTimeNanos
    const outcome = Deferred.makeUnsafe<A, E>()
    const fiber = yield* Effect.forkDetach({ startImmediately: true })(
      run((exit) => Effect.asVoid(Deferred.done(outcome, exit)))
    )
    const impatient = Effect.gen(function*() {
      const exit = yield* Effect.exit(Deferred.await(outcome))
      const elapsed = Duration.nanos((yield* Clock.monotonicTimeNanos) - startedAt)
      yield* Effect.sleep(Duration.max(Duration.subtract(limit, elapsed), closeTimeout))
      return yield* exit
    })
    return yield* Effect.raceFirst(Fiber.join(fiber), impatient).pipe(
      Effect.onInterrupt(() => Fiber.interrupt(fiber))
    )
  })

/** What a command needs of its sessions. */
interface SessionOptions {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly limit: Duration.Duration
  /** The time limit of requests, if it is another one. */
  readonly requestLimit?: Duration.Duration | undefined
  readonly retry: RetryPolicy.RetryPolicy
  readonly consent?: InteractiveConsent | undefined
  /** Handlers beside those that answer questions. Held sessions have their own. */
  readonly handlers?: Handlers | undefined
}

/** Layer of sessions that are opened for one command, with all timeouts capped at its limit. */
const ownSessions = (options: SessionOptions, questions: Handlers) => {
  const { consent, handlers, limit, requestLimit = limit, retry } = options
  const servers = options.servers.map(({ aliases, definition, name }) => ({
    name,
    aliases,
    definition: Result.map(definition, (config) => ({
      ...config,
      connectTimeout: Duration.max(Duration.min(config.connectTimeout, limit), Duration.millis(100)),
      requestTimeout: requestLimit === limit ? Duration.min(config.requestTimeout, limit) : requestLimit,
      totalTimeout: requestLimit === limit ? Duration.min(config.totalTimeout, limit) : requestLimit
    }))
  }))
  const all = Layer.succeed(ClientHandlers, { ...questions, ...handlers })
  return Sessions.layerConfiguration({ configuration: { servers }, retry }).pipe(
    Layer.provide(Layer.merge(withRecording(transports({ servers: options.servers, consent })), all))
  )
}

/**
 * Provides `Sessions` for the servers, with all timeouts capped at `limit`: the held ones, or new ones. A server that calls for a sign-in fails,
 * unless there is a `consent`.
 */
export const withSessions = (options: SessionOptions) =>
<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<
  A,
  E | ConfigError | UsageError,
  Exclude<R, Sessions.Sessions> | Invocation | Output
> =>
  Effect.flatMap(HeldSessions, (held) => {
    ExactNumbers.keep()
    // A sign-in asks its own user, so it has a connection of its own.
    if (held === undefined || options.consent !== undefined) {
      const switchboard = makeSwitchboard()
      return closeWithin({
        limit: options.limit,
        run: (report: (exit: Exit.Exit<A, E | ConfigError | UsageError>) => Effect.Effect<void>) =>
          effect.pipe(
            Effect.provideService(CurrentSwitchboard, switchboard),
            Effect.onExit(report),
            Effect.provide(ownSessions(options, switchboard.handlers))
          )
      })
    }
    const timeouts = new Map(options.servers.map((server) => [server.name, configOf(server)?.requestTimeout]))
    const sessions = limitSessions(held.sessions, {
      limit: options.limit,
      retry: options.retry,
      requestTimeout: (server) => timeouts.get(server) ?? options.limit
    })
    return Effect.andThen(
      held.use(usableOf(options.servers).map(({ name }) => name)),
      effect.pipe(
        Effect.provideService(CurrentSwitchboard, held.switchboard),
        Effect.provideService(Sessions.Sessions, sessions)
      )
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
