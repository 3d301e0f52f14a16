/**
 * Outcomes of attempts: records each in the state of the server, and turns failures into the errors that the delivery rule makes of them.
 *
 * An outcome is recorded in the moment in which it is known, in a fiber of the connection. A caller that is interrupted in that moment changes
 * nothing of it.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { retryAfterOf } from "../../RetryPolicy.ts"
import { type LostReason, OutcomeUnknown, type Reason, SessionError } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import * as monotonic from "../monotonic.ts"
import type { Attempt } from "./attempt.ts"
import { isLost } from "./deliveryRule.ts"
import type { Operation } from "./operation.ts"

export class Outcomes {
  readonly #managed: ManagedConnection

  constructor(managed: ManagedConnection) {
    this.#managed = managed
  }

  /** Records a response. */
  succeeded(live: LiveConnection, attempt: Attempt): void {
    const { circuitBreaker, rateLimit, retryBudget } = this.#managed.server
    retryBudget.earn()
    rateLimit.accepted(attempt.epoch)
    this.#managed.responded(live)
    // A guard records the outcome itself.
    if (circuitBreaker.isOpen()) return
    const recorded = circuitBreaker.record({ error: undefined, sentAt: attempt.sentAt })
    if (recorded !== undefined) this.#fork(recorded)
  }

  /**
   * Records a failed attempt at once. Returns the effect that fails with the error that the delivery rule makes of the failure. Nothing is lost
   * if that is not run.
   */
  failed<A>(
    operation: Operation<A>,
    live: LiveConnection,
    attempt: Attempt,
    reason: Reason
  ): Effect.Effect<never, SessionError> {
    const error = this.fail(reason)
    // Recorded before the permits are released: a request that waits for them has to see the pause that a 429 asks for.
    const recording = this.#fork(
      Effect.ensuring(this.#recordFailure(live, attempt, error), Effect.sync(() => attempt.release()))
    )
    return Effect.andThen(Fiber.join(recording), this.toFinalError(operation, attempt, error))
  }

  /** In the context of the connection, so that no caller can interrupt it. */
  #fork(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    return Effect.runForkWith(this.#managed.context)(effect)
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
