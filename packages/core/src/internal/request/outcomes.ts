/**
 * Outcomes of attempts: records each in the state of the server, and turns failures into the errors that the delivery rule makes of them.
 *
 * An outcome is recorded in the moment in which it is known, in a fiber of the connection. A caller that is interrupted in that moment changes
 * nothing of it.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type LostReason, OutcomeUnknown, type Reason, SessionError } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import * as monotonic from "../monotonic.ts"
import { retryAfterOf } from "../retryAfter.ts"
import { targetOf } from "../telemetry/attributes.ts"
import type { Failure } from "../telemetry/durations.ts"
import { isToolError } from "../telemetry/spans.ts"
import type { Attempt } from "./attempt.ts"
import { isLost } from "./deliveryRule.ts"
import type { Kind, Operation } from "./operation.ts"

/** A request, as its duration is recorded. */
interface Requested {
  readonly kind: Kind
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
}

export class Outcomes {
  readonly #managed: ManagedConnection

  constructor(managed: ManagedConnection) {
    this.#managed = managed
  }

  /** Records a response, of which `value` was made. */
  succeeded<A>(operation: Operation<A>, live: LiveConnection, attempt: Attempt, value: A): void {
    const { circuitBreaker, rateLimit, retryBudget } = this.#managed.server
    retryBudget.earn()
    rateLimit.accepted(attempt.epoch)
    const now = this.#managed.responded(live)
    const { kind, method } = operation
    const tool = kind._tag === "ToolCall" ? kind.tool : undefined
    if (tool !== undefined && isToolError(value)) this.#recordDuration(operation, live, attempt, now, "tool_error")
    else if (
      kind._tag !== "Probe" &&
      !this.#managed.durationsOf(live).repeated(method, tool, (now - attempt.sentAt) / 1000)
    ) this.#recordDuration(operation, live, attempt, now, undefined)
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
    if (attempt.isStarted) this.#recordDuration(operation, live, attempt, this.#managed.timers.now(), reason)
    // Recorded before the permits are released: a request that waits for them has to see the pause that a 429 asks for.
    const recording = this.#fork(
      Effect.ensuring(this.#recordFailure(live, attempt, error), Effect.sync(() => attempt.release()))
    )
    return Effect.andThen(Fiber.join(recording), this.toFinalError(operation, attempt, error))
  }

  /** Records a request that its caller gave up. */
  cancelled(request: Requested, live: LiveConnection, { sentAt }: Pick<Attempt, "sentAt">): void {
    this.#recordDuration(request, live, { sentAt }, this.#managed.timers.now(), "Cancelled")
  }

  #recordDuration(
    { kind, method, params }: Requested,
    live: LiveConnection,
    { sentAt }: Pick<Attempt, "sentAt">,
    now: number,
    failure: Failure | undefined
  ): void {
    if (kind._tag === "Probe") return
    this.#managed.durationsOf(live).request(targetOf(method, params), (now - sentAt) / 1000, failure)
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
