/**
 * Retry loop: repeats an operation whose first attempt failed, as the delivery rule, the retry policy, the retry budget and the total timeout
 * allow.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Delivery, LostReason, SessionError } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import * as monotonic from "../monotonic.ts"
import type { RetryBudget } from "../server/retryBudget.ts"
import { deliveryOf, isLost, isReplaceable, verdictOf } from "./deliveryRule.ts"
import type { Kind } from "./operation.ts"

/** How the caller of an operation wants it retried, and until when. */
export interface CallerPolicy {
  /** The policy where the operation has none. */
  readonly retry: RetryPolicy
  /** Whether the session that the caller holds has ended. */
  readonly isEnded: () => boolean
  /** Whether one attempt to connect is enough, instead of the retry policy. */
  readonly connectsOnce: boolean
}

export interface RetryLoopOptions<A> {
  readonly kind: Kind
  readonly caller: CallerPolicy
  readonly policy: RetryPolicy
  readonly budget: RetryBudget
  /** When the operation started, in milliseconds of monotonic time. */
  readonly startedAt: number
  /** How long all attempts may take together, in milliseconds. `Infinity`: as long as they take. */
  readonly totalTimeout: number
  /** The failure of the first attempt; `undefined` if there was no connection to make it on. */
  readonly first: SessionError | undefined
  readonly acquire: Effect.Effect<LiveConnection, SessionError>
  /** Signs the owner in after a refusal, or fails. */
  readonly signIn: (refusal: SessionError) => Effect.Effect<void, SessionError>
  readonly attempt: (live: LiveConnection, now: number) => Effect.Effect<A, SessionError>
  /** The latest attempt, unless it is known that it did not run. */
  readonly state: { latest: { readonly isWritten: boolean } | undefined }
  readonly closed: () => SessionError
  /** The failure after the total timeout, given whether a request may have run. */
  readonly expired: (delivery: Delivery) => Effect.Effect<never, SessionError>
  readonly outcomeUnknown: (tool: string, lost: LostReason) => SessionError
}

export const retryLoop = <A>(options: RetryLoopOptions<A>): Effect.Effect<A, SessionError> => {
  const { acquire, attempt, budget, caller, kind, policy, startedAt, state, totalTimeout } = options
  const affordable: RetryPolicy = Schedule.while(monotonic.byMonotonicTime(policy), () => budget.spend())
  let pending = options.first
  let hasReplaced = false
  let hasSignedIn = false
  /** The latest failure that leaves open whether the request ran. */
  let lost: { readonly reason: LostReason; readonly error: SessionError } | undefined

  // A success of this effect ends the loop. A failed connect is a success that fails: its policy was spent already.
  const once: Effect.Effect<Effect.Effect<A, SessionError>, SessionError> = Effect.suspend(() => {
    // The session may have ended during the pause before this attempt.
    if (caller.isEnded()) return Effect.succeed(Effect.fail(options.closed()))
    const error = pending
    pending = undefined
    if (error !== undefined) return Effect.fail(error)
    return Effect.matchEffect(acquire, {
      onFailure: (error) => Effect.succeed(Effect.fail(error)),
      onSuccess: (live) => Effect.flatMap(monotonic.now, (now) => Effect.map(attempt(live, now), Effect.succeed))
    })
  }).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        const { reason } = error
        if (isLost(reason)) lost = { reason, error }
        // Nothing of this operation is under way, and this attempt did not run.
        else state.latest = undefined
      })
    ),
    // The connection was lost before the request ran. Replace it at once, one time.
    Effect.catchIf(({ reason }) => !hasReplaced && isReplaceable(reason), () => {
      hasReplaced = true
      return once
    }),
    // The server refused the request for lack of credentials, so it did not run. It is made again with those of a sign-in, one time.
    Effect.catchIf(({ reason }) => !hasSignedIn && reason._tag === "AuthRequired", (refusal) => {
      hasSignedIn = true
      return Effect.matchEffect(options.signIn(refusal), {
        onFailure: (error) => Effect.succeed(Effect.fail(error)),
        onSuccess: () => once
      })
    })
  )

  /**
   * A tool that may have run in an earlier attempt may have run, whatever the later attempts ended with. A request that may have run does not
   * end as one that a closed session refused.
   */
  const withEarlierLoss = (error: SessionError): SessionError => {
    if (lost === undefined || error.delivery === "Answered" || error.delivery === "Unknown") return error
    if (kind._tag === "ToolCall") return options.outcomeUnknown(kind.tool, lost.reason)
    return error.reason._tag === "SessionClosed" ? lost.error : error
  }

  return Effect.flatMap(monotonic.now, (now) =>
    once.pipe(
      Effect.retry({
        schedule: affordable,
        while: ({ reason }) => verdictOf(kind, reason) !== "final"
      }),
      Effect.flatten,
      Effect.timeoutOrElse({
        duration: Math.max(0, totalTimeout - (now - startedAt)),
        orElse: () =>
          Effect.suspend(() => options.expired(deliveryOf(lost !== undefined || state.latest?.isWritten === true)))
      }),
      Effect.mapError(withEarlierLoss)
    ))
}
