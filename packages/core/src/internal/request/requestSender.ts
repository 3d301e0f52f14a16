/**
 * Sender of requests: makes one attempt of an operation on one connection, once the attempt has its permits.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { InvalidResult, type Reason, RequestTimeout, type SessionError, TransportClosed } from "../../SessionError.ts"
import { attributes as names, spans } from "../../Telemetry.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import { pingTimeout } from "../connection/liveness.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import { connectionAttributes } from "../telemetry/attributes.ts"
import { withSpan } from "../telemetry/spans.ts"
import { type TraceMeta, traceMetaOf, withTraceMeta } from "../telemetry/traceContext.ts"
import { Attempt } from "./attempt.ts"
import { InFlight, type InFlightHost } from "./inFlightRecord.ts"
import { type CompositeOperation, isComposite, type Operation, type RequestOperation } from "./operation.ts"
import type { Outcomes } from "./outcomes.ts"
import type { CallerPolicy } from "./retryLoop.ts"
import type { Writes } from "./writes.ts"

/** The state of one operation. */
export interface RequestState {
  readonly caller: CallerPolicy
  readonly startedAt: number
  readonly isTraced: boolean
  readonly writes: Writes | undefined
  attempts: number
  /** The latest attempt, unless it is known that it did not run. */
  latest: Attempt | undefined
  /** The latest request and its connection, for the span of the operation. */
  sent?: { readonly attempt: Attempt; readonly live: LiveConnection } | undefined
}

/** The attributes of a request, as far as they are known at its end. */
export const sentAttributes = (
  { attempt: { flight }, live }: NonNullable<RequestState["sent"]>
): Readonly<Record<string, string>> => ({
  ...connectionAttributes(live),
  ...(flight?.id === undefined ? {} : { [names.requestId.name]: String(flight.id) })
})

/** How long all attempts of an operation may take together, in milliseconds. */
export const totalTimeoutOf = ({ isOpenEnded }: Operation<unknown>, { totalTimeout }: InFlightHost): number =>
  isOpenEnded === true ? Number.POSITIVE_INFINITY : totalTimeout

/** A result that the server sent, as the operation wants it. A result in memory may throw when it is read. */
const decoded = <A>(
  { decode, method }: RequestOperation<A>,
  { info }: LiveConnection,
  result: unknown
): Exit.Exit<A, Reason> => {
  try {
    return decode(result, info)
  } catch (cause) {
    return Exit.fail(new InvalidResult({ method, description: `the result of ${method} cannot be read`, cause }))
  }
}

export class RequestSender {
  readonly #managed: ManagedConnection
  readonly #host: InFlightHost
  readonly #outcomes: Outcomes
  readonly #requestTimeout: number

  constructor(options: {
    readonly managed: ManagedConnection
    readonly host: InFlightHost
    readonly outcomes: Outcomes
  }) {
    this.#managed = options.managed
    this.#host = options.host
    this.#outcomes = options.outcomes
    this.#requestTimeout = Duration.toMillis(options.managed.definition.config.requestTimeout)
  }

  /**
   * Makes the in-flight record of a request. `start` of the record sends it, once the attempt has its permits. What the attempt held is given
   * back before `onEnd` is called with a result, and after a failure was recorded. `onEnd` receives the result, or the effect that fails.
   */
  prepare<A>(
    operation: RequestOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    latest: number,
    writes: Writes | undefined,
    trace: TraceMeta | undefined,
    onEnd: (outcome: Effect.Effect<A, SessionError>) => void
  ): InFlight {
    const { isOpenEnded, kind, method, onProgress, wireMethod, wireParams } = operation
    const timeout = isOpenEnded === true ? Number.POSITIVE_INFINITY : operation.timeout
    const params = wireParams === undefined || live.info === undefined ? operation.params : wireParams(live.info)
    const flight = new InFlight({
      host: this.#host,
      live,
      attempt,
      kind,
      method: wireMethod === undefined || live.info === undefined ? method : wireMethod(live.info),
      params: trace === undefined ? params : withTraceMeta(params, trace),
      onProgress,
      timeout: timeout ?? this.#requestTimeout,
      // An open-ended request has to end with its connection: no timeout would end it.
      isLongRunning: isOpenEnded !== true && timeout !== undefined && timeout > pingTimeout,
      latest,
      now: attempt.sentAt,
      writes,
      onEnd: (outcome) => onEnd(this.#settled(operation, live, attempt, outcome))
    })
    attempt.flight = flight
    return flight
  }

  /** Sends a request. The permits were taken before. */
  start(operation: RequestOperation<unknown>, attempt: Attempt, flight: InFlight): void {
    if (operation.kind._tag !== "Probe") this.#managed.server.telemetry.count("requests")
    flight.start()
    if (operation.isOpenEnded === true) attempt.releasePermits()
    if (flight.id !== undefined) operation.onSent?.(flight.id)
  }

  /** Makes one attempt on one connection: waits for the permits, sends, and records the outcome. */
  attempt<A>(
    operation: Operation<A>,
    live: LiveConnection,
    now: number,
    state: RequestState
  ): Effect.Effect<A, SessionError> {
    const attempts = ++state.attempts
    const { circuitBreaker, telemetry } = this.#managed.server
    if (attempts > 1) telemetry.count("retries")
    const isProbe = circuitBreaker.isOpen()
    const attempt = new Attempt(this.#host.admission, now, isProbe)
    state.latest = attempt
    state.sent = { attempt, live }
    const sent = this.#attemptOnce(operation, live, attempt, state)
    const settled = Effect.tapError(isProbe ? circuitBreaker.guard(sent) : sent, telemetry.countRefusal)
    return state.isTraced
      ? withSpan(settled, {
        name: spans.attempt.name,
        attributes: { [names.attempt.name]: attempts, [names.generation.name]: live.generation },
        link: live.span,
        atEnd: () => sentAttributes({ attempt, live })
      })
      : settled
  }

  #attemptOnce<A>(
    operation: Operation<A>,
    live: LiveConnection,
    attempt: Attempt,
    state: RequestState
  ): Effect.Effect<A, SessionError> {
    const latest = state.startedAt + totalTimeoutOf(operation, this.#host)
    const failed = (reason: Reason) => this.#outcomes.failed(operation, live, attempt, reason)
    const admitted = Effect.suspend(() =>
      attempt.tryTake() ? Effect.void : this.#wait(operation.method, live, latest, attempt)
    )
    const outcome = Effect.suspend((): Effect.Effect<A, SessionError> => {
      const { info } = live
      if (info === undefined) return failed(new TransportClosed({ delivery: "NotSent" }))
      if (isComposite(operation)) {
        const { kind, method } = operation
        attempt.hasBegun = true
        const sentAtWall = this.#host.timers.toWall(attempt.sentAt)
        state.writes?.written({ kind, method, id: undefined, sentAtWall })
        return Effect.matchEffect(this.#runComposite(operation.run(live, info), operation, live, attempt, latest), {
          onSuccess: (value) => {
            this.#outcomes.succeeded(operation, live, attempt, value)
            return Effect.succeed(value)
          },
          onFailure: failed
        })
      }
      const refused = operation.refuse?.(info)
      if (refused !== undefined) return failed(refused)
      return Effect.callback((resume) => {
        const trace = traceMetaOf(Fiber.getCurrent() as Fiber.Fiber<unknown, unknown>)
        const flight = this.prepare(operation, live, attempt, latest, state.writes, trace, resume)
        this.start(operation, attempt, flight)
        return flight.cancel
      })
    })
    return Effect.onExit(
      Effect.matchEffect(admitted, { onFailure: failed, onSuccess: () => outcome }),
      () => Effect.sync(() => attempt.release())
    )
  }

  #settled<A>(
    operation: RequestOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    outcome: Exit.Exit<unknown, Reason>
  ): Effect.Effect<A, SessionError> {
    const ended = Exit.isSuccess(outcome) ? decoded(operation, live, outcome.value) : outcome as Exit.Failure<A, Reason>
    if (Exit.isSuccess(ended)) return this.#succeeded(operation, live, attempt, ended.value)
    const found = Exit.findErrorOption(ended)
    if (found._tag === "None") {
      // A defect of the transport has no reason to record.
      attempt.release()
      return Effect.orDie(ended)
    }
    const reason = found.value
    if (reason.delivery === "Rejected") attempt.flight?.refused()
    const recovered = Exit.isSuccess(outcome) ? undefined : operation.recover?.(reason)
    return recovered !== undefined && Exit.isSuccess(recovered)
      ? this.#succeeded(operation, live, attempt, recovered.value)
      : this.#outcomes.failed(operation, live, attempt, reason)
  }

  #succeeded<A>(
    operation: RequestOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    value: A
  ): Exit.Exit<A> {
    this.#outcomes.succeeded(operation, live, attempt, value)
    attempt.release()
    return Exit.succeed(value)
  }

  #runComposite<A>(
    run: Effect.Effect<A, Reason>,
    operation: CompositeOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    latest: number
  ): Effect.Effect<A, Reason> {
    const { kind, method, timeout = this.#requestTimeout } = operation
    if (kind._tag !== "Probe") this.#managed.server.telemetry.count("requests")
    const left = Math.max(0, latest - attempt.sentAt)
    const limited = Effect.timeoutOrElse(run, {
      duration: Math.min(timeout, left),
      orElse: () => {
        const exceeded = left < timeout ? this.#host.totalTimeout : timeout
        return Effect.fail(new RequestTimeout({ method, timeout: exceeded, delivery: "Unknown" }))
      }
    })
    return live.use(
      Effect.onInterrupt(limited, () => Effect.sync(() => this.#outcomes.cancelled(operation, live, attempt)))
    )
  }

  #wait(method: string, live: LiveConnection, latest: number, attempt: Attempt): Effect.Effect<void, Reason> {
    return Effect.flatMap(attempt.wait({ method, latest }), (): Effect.Effect<void, Reason> => {
      attempt.sentAt = this.#host.timers.now()
      const { circuitBreaker } = this.#managed.server
      // Either may have happened in the moment in which the permits became free.
      if (attempt.sentAt >= latest) {
        return Effect.fail(new RequestTimeout({ method, timeout: this.#host.totalTimeout, delivery: "NotSent" }))
      }
      if (!attempt.isProbe && circuitBreaker.isOpen()) return Effect.flatMap(circuitBreaker.refusal, Effect.fail)
      // The connection was lost while the request waited.
      return live.isRetired ? Effect.fail(new TransportClosed({ delivery: "NotSent" })) : Effect.void
    })
  }
}
