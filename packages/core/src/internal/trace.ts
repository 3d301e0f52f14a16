/**
 * What an operation did on a session, so that it can be told whether the same operation may be done on another one.
 *
 * A tool that has run here must not run there, unless that does no harm. That holds for the whole operation: a failure of its
 * second call says nothing of its first.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SessionError } from "../SessionError.ts"
import type { Perform } from "./delivery.ts"

export interface Trace {
  /** Asks, of each tool that has run or may have, whether running it twice is harmless. */
  readonly ran: Array<Effect.Effect<boolean>>
  /** Has to succeed before a tool goes out for which it is not. */
  readonly commit?: Effect.Effect<void> | undefined
}

const traces = new WeakMap<SessionError, Trace>()

const isSessionError = Schema.is(SessionError)

/** Makes the errors of an effect known as those of a trace. */
export const withTrace = <A>(options: {
  readonly effect: Effect.Effect<A, SessionError>
  readonly trace: Trace
}): Effect.Effect<A, SessionError> =>
  Effect.tapError(options.effect, (error) => Effect.sync(() => traces.set(error, options.trace)))

/** Notes what goes through. */
export const traced = (options: { readonly perform: Perform; readonly trace: Trace }): Perform => (operation) => {
  const { perform, trace } = options
  const { isSafe, tool } = operation
  if (tool === undefined) return withTrace({ effect: perform(operation), trace })
  const { commit } = trace
  const performed = commit === undefined
    ? perform(operation)
    : Effect.flatMap(isSafe, (safe) => safe ? perform(operation) : Effect.andThen(commit, perform(operation)))
  return Effect.onExit(withTrace({ effect: performed, trace }), (exit) => {
    const delivery = Option.getOrUndefined(Exit.findErrorOption(exit))?.delivery
    if (delivery !== "NotSent" && delivery !== "Rejected") trace.ran.push(isSafe)
    return Effect.void
  })
}

/** Failures of whoever uses a session, and not of its server. */
const misuse: ReadonlySet<string> = new Set(["AlreadyInitialized", "NotInitialized", "SessionClosed"])

/** Whether what failed so may be done on another session. */
export const mayMove = (error: unknown): Effect.Effect<boolean> => {
  if (!isSessionError(error)) return Effect.succeed(false)
  const trace = traces.get(error)
  const { delivery, reason } = error
  if (trace === undefined || delivery === "Answered" || reason._tag === "OutcomeUnknown" || misuse.has(reason._tag)) {
    return Effect.succeed(false)
  }
  return Effect.map(Effect.all(trace.ran), (safe) => !safe.includes(false))
}
