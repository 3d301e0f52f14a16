/**
 * Executor: takes operations to the server of one session, under the delivery rule.
 *
 * **Fast path.** If the operation is one request, nobody traces it, no tool ledger is open, there is a connection, the circuit is closed and
 * permits are free, then the whole operation is one in-flight record: no fiber, no promise, one `Effect.callback`. A failure continues on the
 * slow path.
 *
 * **Slow path.** Everything else: waiting for permits or a connection, spans, ledgers, and the retry loop.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { retryAfterOf } from "../../RetryPolicy.ts"
import {
  type LostReason,
  OutcomeUnknown,
  type Reason,
  RequestTimeout,
  SessionClosed,
  SessionError,
  TransportClosed
} from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import { isTraced, withSpan } from "../telemetry.ts"
import type { Timers } from "../timers.ts"
import { Admission } from "./admission.ts"
import { isLost, verdictOf } from "./deliveryRule.ts"
import { InFlight, type InFlightHost } from "./inFlight.ts"
import { isComposite, type Operation, type RequestOperation } from "./operation.ts"
import { type CallerPolicy, retryLoop } from "./retryLoop.ts"
import { CurrentLedgers, record } from "./toolLedger.ts"
import { CurrentWrites, type Writes } from "./writes.ts"

export type Execute = <A>(operation: Operation<A>) => Effect.Effect<A, SessionError>

/** The state of one operation. */
interface RequestState {
  readonly caller: CallerPolicy
  readonly startedAt: number
  readonly isTraced: boolean
  readonly writes: Writes | undefined
  attempts: number
}

/** The state of one attempt. */
interface Attempt {
  sentAt: number
  /** The epoch of the rate limit that the request was sent in. */
  epoch: number
  flight: InFlight | undefined
}

export class Executor {
  readonly #managed: ManagedConnection
  readonly #admission: Admission
  readonly #host: InFlightHost
  readonly #requestTimeout: number

  constructor(options: {
    readonly managed: ManagedConnection
    readonly owner: string
    readonly timers: Timers
  }) {
    const { managed, owner, timers } = options
    const { config } = managed.definition
    this.#managed = managed
    this.#admission = new Admission({ config, owner, server: managed.server })
    this.#host = { timers, admission: this.#admission, totalTimeout: Duration.toMillis(config.totalTimeout) }
    this.#requestTimeout = Duration.toMillis(config.requestTimeout)
  }

  /** Executes an operation for a caller. */
  execute<A>(operation: Operation<A>, caller: CallerPolicy): Effect.Effect<A, SessionError> {
    return Effect.callback((resume) => {
      const flight = this.begin(operation, caller, Fiber.getCurrent() as Fiber.Fiber<unknown, unknown>, resume)
      return flight === undefined ? undefined : Effect.suspend(() => flight.cancel())
    })
  }

  /**
   * Begins an operation in a callback of a fiber. Calls `onEnd` once: with the outcome, or with the effect that leads to it. Returns the
   * in-flight record if the fast path was taken.
   */
  begin<A>(
    operation: Operation<A>,
    caller: CallerPolicy,
    fiber: Fiber.Fiber<unknown, unknown>,
    onEnd: (outcome: Effect.Effect<A, SessionError>) => void
  ): InFlight | undefined {
    const live = this.#admit(operation, caller, fiber)
    if (live !== undefined) {
      fiber.getRef(CurrentWrites)?.mark()
      return this.#launch(operation as RequestOperation<A>, caller, live, onEnd)
    }
    onEnd(this.#slowPath(operation, caller, fiber))
    return undefined
  }

  /**
   * Starts an operation without a fiber, if the fast path is open; else returns `undefined`. Calls `onEnd` once, as `begin` does.
   */
  start<A>(
    operation: RequestOperation<A>,
    caller: CallerPolicy,
    onEnd: (outcome: Effect.Effect<A, SessionError>) => void
  ): InFlight | undefined {
    const live = this.#admit(operation, caller, undefined)
    return live === undefined ? undefined : this.#launch(operation, caller, live, onEnd)
  }

  /** The live connection, with the permits taken, if the fast path is open. */
  #admit<A>(
    operation: Operation<A>,
    caller: CallerPolicy,
    fiber: Fiber.Fiber<unknown, unknown> | undefined
  ): LiveConnection | undefined {
    const live = this.#managed.current
    if (live?.info === undefined || isComposite(operation) || caller.isEnded()) return undefined
    if (fiber !== undefined) {
      if (isTraced(fiber)) return undefined
      if (operation.kind._tag === "ToolCall" && fiber.getRef(CurrentLedgers).length > 0) return undefined
    }
    if (this.#managed.server.circuitBreaker.isOpen() || operation.refuse?.(live.info) !== undefined) return undefined
    return this.#admission.tryTake() ? live : undefined
  }

  #launch<A>(
    operation: RequestOperation<A>,
    caller: CallerPolicy,
    live: LiveConnection,
    onEnd: (outcome: Effect.Effect<A, SessionError>) => void
  ): InFlight {
    const now = this.#host.timers.now()
    if (operation.kind._tag !== "Probe" && operation.isPart !== true) this.#managed.server.counters.operations++
    const attempt: Attempt = { sentAt: now, epoch: 0, flight: undefined }
    return this.#send(operation, live, attempt, now + this.#host.totalTimeout, (outcome, flight) => {
      if (Exit.isSuccess(outcome)) {
        const settled = this.#succeeded(live, attempt, Exit.succeed(outcome.value))
        const released = flight.release()
        return onEnd(released === undefined ? settled : Effect.andThen(Effect.uninterruptible(released), settled))
      }
      const state = { caller, startedAt: now, isTraced: false, writes: undefined, attempts: 1 }
      const found = Exit.findErrorOption(outcome)
      // A defect of the transport has no reason to record.
      const failed = found._tag === "None"
        ? Effect.ensuring(Effect.orDie(outcome), Effect.suspend(() => flight.release() ?? Effect.void))
        : this.#failed(operation, live, attempt, found.value)
      onEnd(this.#orRetry(operation, state, failed))
    })
  }

  /** Sends one request. The permits were taken before. */
  #send<A>(
    operation: RequestOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    latest: number,
    onEnd: (outcome: Exit.Exit<A, Reason>, flight: InFlight) => void
  ): InFlight {
    const { decode, method, onProgress, params, recover, timeout, wireMethod } = operation
    if (operation.kind._tag !== "Probe") this.#managed.server.counters.requests++
    const flight: InFlight = new InFlight({
      host: this.#host,
      live,
      method: wireMethod === undefined || live.info === undefined ? method : wireMethod(live.info),
      params,
      onProgress,
      timeout: timeout === undefined ? this.#requestTimeout : Duration.toMillis(Duration.fromInputUnsafe(timeout)),
      latest,
      now: attempt.sentAt,
      onEnd: (outcome) => {
        if (Exit.isSuccess(outcome)) return onEnd(decode(outcome.value), flight)
        const reason = recover === undefined ? undefined : Exit.findErrorOption(outcome)
        const recovered = reason?._tag === "Some" ? recover?.(reason.value) : undefined
        onEnd(recovered ?? outcome as Exit.Failure<A, Reason>, flight)
      }
    })
    attempt.flight = flight
    flight.start()
    return flight
  }

  /** Records a response. The result is the exit itself, unless there is something to do first. */
  #succeeded<A>(
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
  #failed<A>(
    operation: Operation<A>,
    live: LiveConnection,
    attempt: Attempt,
    reason: Reason
  ): Effect.Effect<never, SessionError> {
    const error = this.#fail(reason)
    // Recorded before the permits are released: a request that waits for them has to see the pause that a 429 asks for.
    const recorded = Effect.ensuring(
      this.#recordFailure(live, attempt, error),
      Effect.suspend(() => attempt.flight?.release() ?? Effect.void)
    )
    return Effect.andThen(Effect.uninterruptible(recorded), this.#toFinalError(operation, attempt, error))
  }

  #recordFailure(live: LiveConnection, attempt: Attempt, error: SessionError): Effect.Effect<void> {
    const { circuitBreaker, rateLimit } = this.#managed.server
    const { reason } = error
    return Effect.gen({ self: this }, function*() {
      if (reason.losesConnection) yield* this.#managed.lose(live, error)
      else this.#managed.failed(live, error)
      if (reason._tag === "RequestTimeout") this.#managed.suspect(live)
      if (reason._tag === "HttpFailed" && reason.status === 429) {
        const now = yield* Clock.currentTimeMillis
        yield* rateLimit.refused({ epoch: attempt.epoch, retryAfter: retryAfterOf({ error, now }) })
      } else if (reason.health === "alive") rateLimit.accepted(attempt.epoch)
      if (!circuitBreaker.isOpen()) yield* circuitBreaker.record({ error, sentAt: attempt.sentAt }) ?? Effect.void
    })
  }

  /** Turns the failure of a tool call that may have run into `OutcomeUnknown`, unless the tool is idempotent. */
  #toFinalError<A>(
    operation: Operation<A>,
    attempt: Pick<Attempt, "flight" | "sentAt">,
    error: SessionError
  ): Effect.Effect<never, SessionError> {
    const { reason } = error
    const { kind, method } = operation
    if (kind._tag !== "ToolCall" || !isLost(reason)) return Effect.fail(error)
    return Effect.flatMap(kind.isIdempotent, (isIdempotent) =>
      Effect.fail(
        isIdempotent ? error : this.#outcomeUnknown(method, kind.tool, attempt.flight?.id, attempt.sentAt, reason)
      ))
  }

  #outcomeUnknown(
    method: string,
    tool: string,
    requestId: string | number | undefined,
    sentAt: number,
    lost: LostReason
  ): SessionError {
    return this.#fail(new OutcomeUnknown({ method, tool, requestId, sentAt, lost }))
  }

  #orRetry<A>(
    operation: Operation<A>,
    state: RequestState,
    first: Effect.Effect<A, SessionError>
  ): Effect.Effect<A, SessionError> {
    return Effect.catchIf(
      first,
      ({ reason }) => verdictOf(operation.kind, reason) !== "final",
      (error) => this.#retry(operation, state, error)
    )
  }

  #slowPath<A>(
    operation: Operation<A>,
    caller: CallerPolicy,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<A, SessionError> {
    if (caller.isEnded()) return Effect.fail(this.#fail(new SessionClosed()))
    const { definition: { config, name }, server } = this.#managed
    const { kind, method } = operation
    if (kind._tag !== "Probe" && operation.isPart !== true) server.counters.operations++
    const state: RequestState = {
      caller,
      startedAt: fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(),
      isTraced: isTraced(fiber),
      writes: fiber.getRef(CurrentWrites),
      attempts: 0
    }
    const done = this.#attempts(operation, state)
    const ledgers = kind._tag === "ToolCall" ? fiber.getRef(CurrentLedgers) : []
    const recorded = kind._tag !== "ToolCall" || ledgers.length === 0
      ? done
      : record({ effect: done, isSafe: kind.isIdempotent, ledgers })
    if (!state.isTraced) return recorded
    return withSpan({
      effect: recorded,
      name: kind._tag === "ToolCall" ? `${method} ${kind.tool}` : method,
      kind: "client",
      attributes: {
        "mcp.server": name,
        "mcp.transport": config.transport,
        "mcp.method.name": method,
        ...(kind._tag === "ToolCall"
          ? { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": kind.tool }
          : {})
      }
    })
  }

  #attempts<A>(operation: Operation<A>, state: RequestState): Effect.Effect<A, SessionError> {
    const live = this.#managed.current
    if (live === undefined) return this.#retry(operation, state, undefined)
    return this.#orRetry(operation, state, this.#attempt(operation, live, state.startedAt, state))
  }

  #retry<A>(
    operation: Operation<A>,
    state: RequestState,
    first: SessionError | undefined
  ): Effect.Effect<A, SessionError> {
    const { kind, method } = operation
    const { caller, startedAt } = state
    const acquire = caller.connectsOnce ? this.#managed.acquireOnce : this.#managed.acquire
    return retryLoop<A>({
      kind,
      caller,
      policy: operation.retry ?? caller.retry,
      budget: this.#managed.server.retryBudget,
      startedAt,
      totalTimeout: this.#host.totalTimeout,
      first,
      acquire: state.isTraced ? withSpan({ effect: acquire, name: "connection", attributes: {} }) : acquire,
      attempt: (live, now) => this.#attempt(operation, live, now, state),
      closed: () => this.#fail(new SessionClosed()),
      expired: (sentAt) => {
        const delivery = sentAt === undefined ? "NotSent" : "Unknown"
        const error = this.#fail(new RequestTimeout({ method, timeout: this.#host.totalTimeout, delivery }))
        return this.#toFinalError(operation, { sentAt: sentAt ?? startedAt, flight: undefined }, error)
      },
      outcomeUnknown: (tool, lost) => this.#outcomeUnknown(method, tool, undefined, startedAt, lost)
    })
  }

  /** One attempt on one connection. */
  #attempt<A>(
    operation: Operation<A>,
    live: LiveConnection,
    now: number,
    state: RequestState
  ): Effect.Effect<A, SessionError> {
    const attempts = ++state.attempts
    const { circuitBreaker } = this.#managed.server
    const attempt: Attempt = { sentAt: now, epoch: 0, flight: undefined }
    const sent = this.#attemptOnce(operation, live, attempt, state.writes)
    const settled = circuitBreaker.isOpen() ? circuitBreaker.guard(sent) : sent
    return state.isTraced
      ? withSpan({
        effect: settled,
        name: "attempt",
        attributes: {
          "mcp.attempt": attempts,
          "mcp.generation": live.generation,
          "mcp.protocol.version": live.info?.protocolVersion
        },
        link: live.span
      })
      : settled
  }

  #attemptOnce<A>(
    operation: Operation<A>,
    live: LiveConnection,
    attempt: Attempt,
    writes: Writes | undefined
  ): Effect.Effect<A, SessionError> {
    const latest = attempt.sentAt + this.#host.totalTimeout
    let isAdmitted = false
    let isLaunched = false
    const admitted = Effect.suspend(() => {
      isAdmitted = this.#admission.tryTake()
      return isAdmitted ? Effect.void : this.#wait(operation.method, live, latest, attempt, () => {
        isAdmitted = true
      })
    })
    const outcome = Effect.suspend((): Effect.Effect<A, Reason> => {
      const { info } = live
      if (info === undefined) return Effect.fail(new TransportClosed({ delivery: "NotSent" }))
      writes?.mark()
      if (isComposite(operation)) return this.#runComposite(operation.run(live, info), operation, live)
      const refused = operation.refuse?.(info)
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.callback((resume) => {
        isLaunched = true
        const flight = this.#send(operation, live, attempt, latest, (exit, flight) => {
          // A typed failure is recorded before its permits are released.
          if (Exit.findErrorOption(exit)._tag === "Some") return resume(exit)
          const released = flight.release()
          resume(released === undefined ? exit : Effect.andThen(Effect.uninterruptible(released), exit))
        })
        return Effect.suspend(() => flight.cancel())
      })
    })
    return Effect.andThen(admitted, outcome).pipe(
      Effect.onExit(() => isAdmitted && !isLaunched ? this.#admission.release() ?? Effect.void : Effect.void),
      Effect.matchEffect({
        onSuccess: (value) => this.#succeeded(live, attempt, Exit.succeed(value)),
        onFailure: (reason) => this.#failed(operation, live, attempt, reason)
      })
    )
  }

  #runComposite<A>(
    run: Effect.Effect<A, Reason>,
    { kind, method, timeout }: Operation<A>,
    live: LiveConnection
  ): Effect.Effect<A, Reason> {
    if (kind._tag !== "Probe") this.#managed.server.counters.requests++
    const duration = timeout === undefined
      ? this.#requestTimeout
      : Duration.toMillis(Duration.fromInputUnsafe(timeout))
    return live.use(Effect.timeoutOrElse(run, {
      duration,
      orElse: () => Effect.fail(new RequestTimeout({ method, timeout: duration, delivery: "Unknown" }))
    }))
  }

  #wait(
    method: string,
    live: LiveConnection,
    latest: number,
    attempt: Attempt,
    onAdmitted: () => void
  ): Effect.Effect<void, Reason> {
    const onTaken = (epoch: number) => {
      attempt.epoch = epoch
      onAdmitted()
    }
    return Effect.flatMap(this.#admission.wait({ method, latest, onTaken }), () => {
      attempt.sentAt = this.#host.timers.now()
      // The connection was lost while the request waited.
      return live.isRetired ? Effect.fail(new TransportClosed({ delivery: "NotSent" })) : Effect.void
    })
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.#managed.definition.name, reason })
  }
}
