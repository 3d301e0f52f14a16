/**
 * Outcomes of attempts: records each in the state of the server, and turns failures into the errors that the delivery rule makes of them.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { retryAfterOf } from "../../RetryPolicy.ts"
import { type LostReason, OutcomeUnknown, type Reason, SessionError } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import * as monotonic from "../monotonic.ts"
import { isLost } from "./deliveryRule.ts"
import type { InFlight } from "./inFlightRecord.ts"
import type { Operation } from "./operation.ts"

/** The state of one attempt. */
export interface Attempt {
  sentAt: number
  /** The epoch of the rate limit that the request was sent in. */
  epoch: number
  flight: InFlight | undefined
  /** Whether it passes an open circuit. */
  readonly isProbe: boolean
}

export class Outcomes {
  readonly #managed: ManagedConnection

  constructor(managed: ManagedConnection) {
    this.#managed = managed
  }

  /** Records a response. The result is the exit itself, unless there is something to do first. */
  succeeded<A>(
    live: LiveConnection,
    attempt: Attempt,
    exit: Exit.Exit<A>
  ): Effect.Effect<A, SessionError> {
    const { circuitBreaker, rateLimit, retryBudget } = this.#managed.server
    retryBudget.earn()
    rateLimit.accepted(attempt.epoch)
    this.#managed.responded(live)
    // A guard records the outcome itself.
    const recorded = circuitBreaker.isOpen()
      ? undefined
      : circuitBreaker.record({ error: undefined, sentAt: attempt.sentAt })
    return recorded === undefined ? exit : Effect.andThen(recorded, exit)
  }

  /** Records a failed attempt, and fails with the error that the delivery rule makes of it. */
  failed<A>(
    operation: Operation<A>,
    live: LiveConnection,
    attempt: Attempt,
    reason: Reason
  ): Effect.Effect<never, SessionError> {
    const error = this.fail(reason)
    // Recorded before the permits are released: a request that waits for them has to see the pause that a 429 asks for.
    const recorded = Effect.ensuring(
      this.#recordFailure(live, attempt, error),
      Effect.suspend(() => attempt.flight?.release() ?? Effect.void)
    )
    return Effect.andThen(Effect.uninterruptible(recorded), this.toFinalError(operation, attempt, error))
  }

  #recordFailure(live: LiveConnection, attempt: Attempt, error: SessionError): Effect.Effect<void> {
    const { circuitBreaker, rateLimit } = this.#managed.server
    const { reason } = error
    return Effect.gen({ self: this }, function*() {
      if (reason.losesConnection) yield* this.#managed.lose(live, error)
      else this.#managed.failed(live, error)
      if (reason._tag === "RequestTimeout") this.#managed.suspect(live)
      if (reason._tag === "HttpFailed" && reason.status === 429) {
        const now = yield* monotonic.wallTime
        yield* rateLimit.refused({ epoch: attempt.epoch, retryAfter: retryAfterOf({ error, now }) })
      } else if (reason.health === "alive") rateLimit.accepted(attempt.epoch)
      if (!circuitBreaker.isOpen()) yield* circuitBreaker.record({ error, sentAt: attempt.sentAt }) ?? Effect.void
    })
  }

  /** Turns the failure of a tool call that may have run into `OutcomeUnknown`, unless the tool is idempotent. */
  toFinalError<A>(
    operation: Operation<A>,
    attempt: Pick<Attempt, "flight" | "sentAt">,
    error: SessionError
  ): Effect.Effect<never, SessionError> {
    const { reason } = error
    const { kind, method } = operation
    if (kind._tag !== "ToolCall" || !isLost(reason)) return Effect.fail(error)
    return Effect.flatMap(kind.isIdempotent, (isIdempotent) =>
      Effect.fail(
        isIdempotent ? error : this.outcomeUnknown(method, kind.tool, attempt.flight?.id, attempt.sentAt, reason)
      ))
  }

  outcomeUnknown(
    method: string,
    tool: string,
    requestId: string | number | undefined,
    sentAt: number,
    lost: LostReason
  ): SessionError {
    return this.fail(new OutcomeUnknown({ method, tool, requestId, sentAt: this.#managed.timers.toWall(sentAt), lost }))
  }

  fail(reason: Reason): SessionError {
    return new SessionError({ server: this.#managed.definition.name, reason })
  }
}
