/**
 * Which tools an operation has run, so that it can be told whether the same operation may be done on another session.
 *
 * A tool that has run here must not run there, unless that does no harm. That holds for the whole operation: a failure of its
 * second call says nothing of its first.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SessionError } from "../../SessionError.ts"
import type { Execute } from "./execute.ts"

export interface Trace {
  /** Asks, of each tool that has run, runs or may have, whether running it twice is harmless. */
  readonly ran: Set<{ readonly isSafe: Effect.Effect<boolean> }>
  /** Has to succeed before a tool goes out for which it is not. */
  readonly commit?: Effect.Effect<void> | undefined
  /** Whether the operation is over. What it has left running is of no account any more. */
  isOver: boolean
}

/** Begins with nothing. */
export const begin = (commit?: Effect.Effect<void>): Trace => ({ ran: new Set(), commit, isOver: false })

/** Notes nothing from now on: whoever goes on after the operation may do so for ever. */
export const finish = (trace: Trace): void => {
  trace.isOver = true
  trace.ran.clear()
}

/** Of the operations that the current one is part of: a tool on any session counts, for all of it would be done again. */
export const CurrentTraces = Context.Reference<ReadonlyArray<Trace>>(
  "@mcp-sessions/core/internal/trace/CurrentTraces",
  {
    defaultValue: () => []
  }
)

/** Has what an effect does noted, on whatever session it is done. */
export const noting = <A, E, R>(options: {
  readonly effect: Effect.Effect<A, E, R>
  readonly trace: Trace
}): Effect.Effect<A, E, R> => Effect.updateService(options.effect, CurrentTraces, (outer) => [...outer, options.trace])

/** Notes a tool call, from now on: whoever forks it may not wait for its end. */
export const note = <A>(options: {
  readonly effect: Effect.Effect<A, SessionError>
  readonly isSafe: Effect.Effect<boolean>
  readonly traces: ReadonlyArray<Trace>
}): Effect.Effect<A, SessionError> =>
  Effect.suspend(() => {
    const { effect, isSafe } = options
    const call = { isSafe }
    const traces = options.traces.filter(({ isOver }) => !isOver)
    if (traces.length === 0) return effect
    for (const { ran } of traces) ran.add(call)
    const commits = traces.flatMap(({ commit }) => commit ?? [])
    const committed = commits.length === 0
      ? effect
      : Effect.flatMap(isSafe, (safe) => safe ? effect : Effect.andThen(Effect.all(commits, { discard: true }), effect))
    return Effect.onExit(committed, (exit) => {
      const delivery = Option.getOrUndefined(Exit.findErrorOption(exit))?.delivery
      if (delivery === "NotSent" || delivery === "Rejected") { for (const { ran } of traces) ran.delete(call) }
      return Effect.void
    })
  })

const traces = new WeakMap<SessionError, Trace>()

const isSessionError = Schema.is(SessionError)

/** An error as one of a trace. All who wait for one connection are told with one error, so each gets its own. */
export const traceError = ({ error: { reason, server }, trace }: {
  readonly error: SessionError
  readonly trace: Trace
}): SessionError => {
  const own = new SessionError({ server, reason })
  traces.set(own, trace)
  return own
}

/** Makes the errors of an effect known as those of a trace. */
export const withTrace = <A>(options: {
  readonly effect: Effect.Effect<A, SessionError>
  readonly trace: Trace
}): Effect.Effect<A, SessionError> =>
  Effect.mapError(options.effect, (error) => traceError({ error, trace: options.trace }))

/** Whether an error is one of a trace. */
export const isOf = ({ error, trace }: { readonly error: unknown; readonly trace: Trace }): boolean =>
  isSessionError(error) && traces.get(error) === trace

/** Records the tool calls that go through, and tags their errors. */
export const traced = (options: { readonly execute: Execute; readonly trace: Trace }): Execute => (operation) => {
  const { execute, trace } = options
  const { kind } = operation
  const done = execute(operation)
  return withTrace({
    effect: kind._tag === "ToolCall" ? note({ effect: done, isSafe: kind.isIdempotent, traces: [trace] }) : done,
    trace
  })
}

/** Failures of whoever uses a session, and not of its server. */
const misuse: ReadonlySet<string> = new Set(["SessionClosed"])

/**
 * Whether an operation that failed so may be done on another session. `isOwn` tells the traces of the operation: an error of another
 * one, within it or beside it, says nothing of what this one has done.
 */
export const mayMove = ({ error, isOwn }: {
  readonly error: unknown
  readonly isOwn: (trace: Trace) => boolean
}): Effect.Effect<boolean> => {
  if (!isSessionError(error)) return Effect.succeed(false)
  const trace = traces.get(error)
  const { delivery, reason } = error
  if (trace === undefined || !isOwn(trace) || delivery === "Answered" || misuse.has(reason._tag)) {
    return Effect.succeed(false)
  }
  // A call that may have run is one of these.
  return Effect.map(Effect.forEach(trace.ran, ({ isSafe }) => isSafe), (safe) => !safe.includes(false))
}
