/**
 * Tool ledger: records the tool calls of one operation, to decide whether the operation may fail over to another session.
 *
 * The decision covers the whole operation. A tool that ran on one session must not run again on another one unless it is known to be
 * idempotent, also when a later request of the operation is the one that failed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SessionError } from "../../SessionError.ts"
import type { Execute } from "./execute.ts"

export interface ToolLedger {
  /** The calls that have run, are running, or may have run. `isSafe` says whether running one again is harmless. */
  readonly calls: Set<{ readonly isSafe: Effect.Effect<boolean> }>
  /** Runs before the first tool call that is not safe. Its interruption stops the call. */
  readonly commit?: Effect.Effect<void> | undefined
  /** Set once the operation has ended: calls of fibers that outlive it are not recorded. */
  isClosed: boolean
}

/** Opens an empty ledger. */
export const open = (commit?: Effect.Effect<void>): ToolLedger => ({ calls: new Set(), commit, isClosed: false })

/** Closes a ledger and forgets its calls, so that fibers that outlive the operation cannot make it grow. */
export const close = (ledger: ToolLedger): void => {
  ledger.isClosed = true
  ledger.calls.clear()
}

/** The ledgers of the operations that the current fiber works for. A tool call on any session counts in each of them. */
export const CurrentLedgers = Context.Reference<ReadonlyArray<ToolLedger>>(
  "@mcp-sessions/core/internal/request/toolLedger/CurrentLedgers",
  { defaultValue: () => [] }
)

/** Records the tool calls of an effect in a ledger, on whatever session they are made. */
export const withLedger = <A, E, R>(options: {
  readonly effect: Effect.Effect<A, E, R>
  readonly ledger: ToolLedger
}): Effect.Effect<A, E, R> =>
  Effect.updateService(options.effect, CurrentLedgers, (outer) => [...outer, options.ledger])

/** Records a tool call when it starts, and removes it if the call turns out not to have run. */
export const record = <A>(options: {
  readonly effect: Effect.Effect<A, SessionError>
  readonly isSafe: Effect.Effect<boolean>
  readonly ledgers: ReadonlyArray<ToolLedger>
}): Effect.Effect<A, SessionError> =>
  Effect.suspend(() => {
    const { effect, isSafe } = options
    const call = { isSafe }
    const ledgers = options.ledgers.filter(({ isClosed }) => !isClosed)
    if (ledgers.length === 0) return effect
    for (const { calls } of ledgers) calls.add(call)
    const commits = ledgers.flatMap(({ commit }) => commit ?? [])
    const committed = commits.length === 0
      ? effect
      : Effect.flatMap(isSafe, (safe) => safe ? effect : Effect.andThen(Effect.all(commits, { discard: true }), effect))
    return Effect.onExit(committed, (exit) => {
      const delivery = Option.getOrUndefined(Exit.findErrorOption(exit))?.delivery
      if (delivery === "NotSent" || delivery === "Rejected") { for (const { calls } of ledgers) calls.delete(call) }
      return Effect.void
    })
  })

const ledgerOf = new WeakMap<SessionError, ToolLedger>()

let guard: ((error: unknown) => error is SessionError) | undefined

/** Made on first use: the schema of all reasons takes long to walk, and most programs that start need no ledger of another session. */
const isSessionError = (error: unknown): error is SessionError => (guard ??= Schema.is(SessionError))(error)

/** Copies an error and tags the copy with a ledger. A copy, because all waiters of one connection share one error. */
export const tagError = ({ error: { reason, server }, ledger }: {
  readonly error: SessionError
  readonly ledger: ToolLedger
}): SessionError => {
  const own = new SessionError({ server, reason })
  ledgerOf.set(own, ledger)
  return own
}

/** Tags the errors of an effect with a ledger. */
export const tagErrors = <A>(options: {
  readonly effect: Effect.Effect<A, SessionError>
  readonly ledger: ToolLedger
}): Effect.Effect<A, SessionError> =>
  Effect.mapError(options.effect, (error) => tagError({ error, ledger: options.ledger }))

/** Whether an error is tagged with a ledger. */
export const isTagged = ({ error, ledger }: { readonly error: unknown; readonly ledger: ToolLedger }): boolean =>
  isSessionError(error) && ledgerOf.get(error) === ledger

/** Records the tool calls of one session in a ledger, and tags the errors of all its requests. */
export const recorded =
  (options: { readonly execute: Execute; readonly ledger: ToolLedger }): Execute => (operation) => {
    const { execute, ledger } = options
    const { kind } = operation
    const done = execute(operation)
    const effect = kind._tag === "ToolCall"
      ? record({ effect: done, isSafe: kind.isIdempotent, ledgers: [ledger] })
      : done
    return tagErrors({ effect, ledger })
  }

/** Errors that come from how a session is used. Another server cannot help. */
const misuse: ReadonlySet<string> = new Set(["SessionClosed"])

/**
 * Whether an operation that failed with `error` may run on another session. `isOwn` recognizes the ledgers of the operation: an error
 * of another operation, within it or beside it, proves nothing about the tools that this one has run.
 */
export const mayFailOver = ({ error, isOwn }: {
  readonly error: unknown
  readonly isOwn: (ledger: ToolLedger) => boolean
}): Effect.Effect<boolean> => {
  if (!isSessionError(error)) return Effect.succeed(false)
  const ledger = ledgerOf.get(error)
  const { delivery, reason } = error
  if (ledger === undefined || !isOwn(ledger) || delivery === "Answered" || misuse.has(reason._tag)) {
    return Effect.succeed(false)
  }
  // The ledger still holds a call whose own delivery is unknown.
  return Effect.map(Effect.forEach(ledger.calls, ({ isSafe }) => isSafe), (safe) => !safe.includes(false))
}
