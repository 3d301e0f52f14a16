/**
 * Uses one server: connects, and runs requests within the time limit of the command.
 */
import type { Handlers } from "@mcp-sessions/core/ClientHandlers"
import type { Progress } from "@mcp-sessions/core/Mcp"
import type { Session } from "@mcp-sessions/core/Session"
import { OutcomeUnknown, RequestTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ConfiguredServer } from "../Configured.ts"
import { inFlight } from "../internal/requestsInFlight.ts"
import { Output } from "../Output.ts"
import { progressBar } from "../ProgressLabel.ts"
import { canAskWith, CurrentSwitchboard, makeAnswers } from "../Questions.ts"
import { line } from "../Shown.ts"
import * as TimeBudget from "../TimeBudget.ts"
import { withRetryNotes, withSessions, withTimeLimit } from "./sessions.ts"

/** The longest time limit of a definition. While a user may be asked, the limit of the command alone counts. */
const longestTimeout = Duration.hours(24)

/** The time that core takes for a timeout of its own, whose error says more than ours. */
const grace = Duration.millis(50)

/** What a command does with a server. */
export interface UseOptions {
  readonly server: ConfiguredServer
  readonly limit: Duration.Duration
  readonly json: boolean
  /** The request that the command is about, for its timeout. */
  readonly method: string
  /** The tool that the command calls. */
  readonly tool?: string | undefined
  /** Whether the user may be asked; default: no. */
  readonly input?: boolean | undefined
  /** Handlers of what the server logs. */
  readonly handlers?: Pick<Handlers, "logging" | "stderr"> | undefined
}

/** A connected server, and the options of requests on it. */
interface Used {
  readonly session: Session
  /** Runs a request within the limit, with its progress under a label. */
  readonly request: <A, E, R>(
    label: string,
    run: (options: {
      readonly timeout: Duration.Duration
      readonly onProgress: (progress: Progress) => Effect.Effect<void>
    }) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SessionError, R>
}

/** The error of a request at the end of the limit. A tool may have run. */
const spent = ({ limit, method, server, tool }: UseOptions, sentAt: number): SessionError => {
  const lost = new RequestTimeout({ method, timeout: Duration.toMillis(limit), delivery: "Unknown" })
  return new SessionError({
    server: server.name,
    reason: tool === undefined ? lost : new OutcomeUnknown({ method, tool, sentAt, lost })
  })
}

/** Connects to the server, gives the session to `use`, and closes the session. */
export const useServer = (options: UseOptions) => <A, E, R>(use: (used: Used) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const { input = false, json, limit, server: configured, tool } = options
    const server = configured.name
    const { progress } = yield* Output
    const budget = yield* TimeBudget.make(limit)
    const canAsk = yield* canAskWith(input)
    const connectAndUse = Effect.gen(function*() {
      const switchboard = yield* CurrentSwitchboard
      yield* switchboard.join({ server, tool, answers: yield* makeAnswers({ input, pause: budget.pause }) })
      yield* progress(line`connecting to ${server} …`)
      const session = yield* Effect.flatMap(Sessions, (sessions) => sessions.get(server)).pipe(
        withTimeLimit({ server, limit }),
        inFlight(line`connecting to ${server}`)
      )
      const request: Used["request"] = (label, run) =>
        Effect.gen(function*() {
          yield* progress(line`${label} …`)
          const sentAt = yield* Clock.currentTimeMillis
          const left = yield* budget.left
          const onProgress = (report: Progress) =>
            budget.isPaused() ? Effect.void : progress(line`${label} … ${progressBar(report)}`)
          const atEnd = Effect.andThen(budget.spent, Effect.sleep(grace)).pipe(
            Effect.andThen(Effect.fail(spent(options, sentAt)))
          )
          return yield* Effect.raceFirst(run({ timeout: canAsk ? longestTimeout : left, onProgress }), atEnd).pipe(
            inFlight(line`${label}`)
          )
        })
      return yield* use({ session, request })
    })
    return yield* connectAndUse.pipe(
      Effect.scoped,
      withSessions({
        servers: [configured],
        limit,
        handlers: options.handlers,
        requestLimit: canAsk ? longestTimeout : limit,
        retry: yield* withRetryNotes(json)
      }),
      Effect.ensuring(progress(undefined))
    )
  })
