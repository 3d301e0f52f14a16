/**
 * Attempt on one server: runs an operation once, on a session of one server, and decides whether it may fail over.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { AllServersFailed } from "../../FallbackPolicy.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { close, mayFailOver, open, withLedger } from "../request/toolLedger.ts"
import { isFit } from "./candidates.ts"
import type { Failure } from "./fallbackPort.ts"
import { openFresh, type Target } from "./openSession.ts"
import { ejectUnfit, recordFailure, suspect } from "./outlierReports.ts"

/** The end of an attempt: the exit of the operation, or a failure after which the operation may run on another server. */
export type Attempted<A, E> =
  | { readonly mayFailOver: false; readonly exit: Exit.Exit<A, E | Failure | AllServersFailed> }
  | { readonly mayFailOver: true; readonly error: SessionError }

export interface ServerAttempt<A, E, R> extends Target {
  readonly retry: RetryPolicy
  readonly operation: (session: Session) => Effect.Effect<A, E, R>
  /** Set for a hedged attempt: runs before the first tool call that must run once. */
  readonly commit?: Effect.Effect<void> | undefined
}

/** Runs an attempt without any consequence for later operations. */
export const runOnce = <A, E, R>(attempt: ServerAttempt<A, E, R>): Effect.Effect<Attempted<A, E>, never, R> =>
  Effect.suspend(() => {
    const ledger = open(attempt.commit)
    const toAttempted = (exit: Exit.Exit<A, E | Failure>): Effect.Effect<Attempted<A, E>> => {
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      if (error === undefined) return Effect.succeed({ mayFailOver: false, exit })
      return Effect.map(
        mayFailOver({ error, isOwn: (one) => one === ledger }),
        (may): Attempted<A, E> =>
          may ? { mayFailOver: true, error: error as SessionError } : { mayFailOver: false, exit }
      )
    }
    return Effect.scopedWith((scope) =>
      Effect.flatMap(
        Scope.provide(openFresh({ ...attempt, ledger }), scope),
        (session) => withLedger({ effect: attempt.operation(session), ledger })
      )
    ).pipe(
      Effect.exit,
      Effect.flatMap(toAttempted),
      Effect.ensuring(Effect.sync(() => close(ledger)))
    )
  })

/** Runs an attempt. Its failure, or a caller that gives up waiting, counts against the server. */
export const run = <A, E, R>(attempt: ServerAttempt<A, E, R>): Effect.Effect<Attempted<A, E>, never, R> => {
  const recorded = Effect.tap(runOnce(attempt), (ended) => {
    if (!ended.mayFailOver && isFit(attempt.server)) return Effect.void
    const failed = ended.mayFailOver ? recordFailure({ ...attempt, error: ended.error }) : Effect.void
    return Effect.andThen(
      failed,
      Effect.suspend(() => ejectUnfit({ port: attempt.port, servers: [attempt.server], owner: attempt.owner }))
    )
  })
  // The loser of a hedge is interrupted because the other attempt was faster. That makes no server suspect.
  if (attempt.commit !== undefined) return recorded
  return Effect.withFiber((fiber) => {
    const startedAt = monotonic.nowOf(fiber.getRef(Clock.Clock))
    return Effect.onInterrupt(recorded, () => suspect({ ...attempt, startedAt }))
  })
}
