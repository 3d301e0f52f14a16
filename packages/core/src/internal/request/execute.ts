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
import { RequestTimeout, SessionClosed, type SessionError } from "../../SessionError.ts"
import { spans } from "../../Telemetry.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import * as monotonic from "../monotonic.ts"
import { serverAttributes, spanAttributes, spanNameOf, targetOf } from "../telemetry/attributes.ts"
import { isContextTraced, isTraced, linkTo, withSpan } from "../telemetry/spans.ts"
import { type TraceMeta, traceMetaOf } from "../telemetry/traceContext.ts"
import type { Timers } from "../timers.ts"
import { Admission } from "./admission.ts"
import { Attempt } from "./attempt.ts"
import { verdictOf } from "./deliveryRule.ts"
import type { InFlight, InFlightHost, OnEnd } from "./inFlightRecord.ts"
import { isComposite, type Operation, type RequestOperation } from "./operation.ts"
import { Outcomes } from "./outcomes.ts"
import { RequestSender, type RequestState, sentAttributes, totalTimeoutOf } from "./requestSender.ts"
import { type CallerPolicy, retryLoop } from "./retryLoop.ts"
import { CurrentLedgers, record } from "./toolLedger.ts"
import { CurrentWrites, type Writes } from "./writes.ts"

export type Execute = <A>(operation: Operation<A>) => Effect.Effect<A, SessionError>

export class Executor {
  readonly #managed: ManagedConnection
  readonly #host: InFlightHost
  readonly #outcomes: Outcomes
  readonly #sender: RequestSender
  /** Whether spans of the layer are exported. Then every operation is a span, and needs a fiber. */
  readonly #isLayerTraced: boolean

  constructor(options: {
    readonly managed: ManagedConnection
    readonly owner: string
    readonly timers: Timers
  }) {
    const { managed, owner, timers } = options
    const { config } = managed.definition
    this.#managed = managed
    this.#isLayerTraced = isContextTraced(managed.context)
    this.#outcomes = new Outcomes(managed)
    this.#host = {
      timers,
      admission: new Admission({ config, owner, server: managed.server, timers }),
      totalTimeout: Duration.toMillis(config.totalTimeout),
      onDropped: (request, live) => this.#outcomes.cancelled(request, live, request)
    }
    this.#sender = new RequestSender({ managed, host: this.#host, outcomes: this.#outcomes })
  }

  /** Executes an operation for a caller. */
  execute<A>(operation: Operation<A>, caller: CallerPolicy): Effect.Effect<A, SessionError> {
    return Effect.callback((resume) => {
      const fiber = Fiber.getCurrent() as Fiber.Fiber<unknown, unknown>
      const flight = this.begin(operation, caller, fiber, resume)
      return flight === undefined ? resume(this.#slowPath(operation, caller, fiber)) : flight.cancel
    })
  }

  /**
   * Begins an operation in a callback of a fiber, if the fast path is open; else returns `undefined`. Calls `onEnd` once: with the outcome, or
   * with the effect that leads to it.
   */
  begin<A>(
    operation: Operation<A>,
    caller: CallerPolicy,
    fiber: Fiber.Fiber<unknown, unknown>,
    onEnd: OnEnd<A, SessionError>
  ): InFlight | undefined {
    const live = this.#usable(operation, caller)
    if (live === undefined || isTraced(fiber)) return undefined
    if (operation.kind._tag === "ToolCall" && fiber.getRef(CurrentLedgers).length > 0) return undefined
    return this.#launch(
      operation as RequestOperation<A>,
      caller,
      live,
      fiber.getRef(CurrentWrites),
      traceMetaOf(fiber),
      onEnd
    )
  }

  /** As `begin`, without a fiber. */
  start<A>(
    operation: RequestOperation<A>,
    caller: CallerPolicy,
    writes: Writes | undefined,
    onEnd: OnEnd<A, SessionError>
  ): InFlight | undefined {
    const live = this.#isLayerTraced ? undefined : this.#usable(operation, caller)
    return live === undefined ? undefined : this.#launch(operation, caller, live, writes, undefined, onEnd)
  }

  /** The live connection, if the operation can be sent on it at once, but for the permits. */
  #usable<A>(operation: Operation<A>, caller: CallerPolicy): LiveConnection | undefined {
    const live = this.#managed.current
    if (live?.info === undefined || isComposite(operation) || caller.isEnded()) return undefined
    if (this.#managed.server.circuitBreaker.isOpen() || operation.refuse?.(live.info) !== undefined) return undefined
    return live
  }

  /** Sends a request, if its permits are free. Nothing that may fail lies between taking and sending. */
  #launch<A>(
    operation: RequestOperation<A>,
    caller: CallerPolicy,
    live: LiveConnection,
    writes: Writes | undefined,
    trace: TraceMeta | undefined,
    onEnd: OnEnd<A, SessionError>
  ): InFlight | undefined {
    const now = this.#host.timers.now()
    const attempt = new Attempt(this.#host.admission, now, false)
    const latest = now + totalTimeoutOf(operation, this.#host)
    const flight = this.#sender.prepare(operation, live, attempt, latest, writes, trace, (outcome) => {
      if (Exit.isExit(outcome) && Exit.isSuccess(outcome)) return onEnd(outcome, undefined)
      const state = { caller, startedAt: now, isTraced: false, writes, attempts: 1, latest: attempt }
      onEnd(this.#orRetry(operation, state, outcome), attempt.flight)
    })
    if (!attempt.tryTake()) return undefined
    if (operation.kind._tag !== "Probe" && operation.isPart !== true) this.#managed.server.telemetry.count("operations")
    this.#sender.start(operation, attempt, flight)
    return flight
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
    if (caller.isEnded()) return Effect.fail(this.#outcomes.fail(new SessionClosed()))
    const { definition, server } = this.#managed
    const { kind, method } = operation
    if (kind._tag !== "Probe" && operation.isPart !== true) server.telemetry.count("operations")
    const state: RequestState = {
      caller,
      startedAt: monotonic.nowOf(fiber.getRef(Clock.Clock)),
      isTraced: isTraced(fiber),
      writes: fiber.getRef(CurrentWrites),
      attempts: 0,
      latest: undefined
    }
    const done = this.#firstAttempt(operation, state)
    const ledgers = kind._tag === "ToolCall" ? fiber.getRef(CurrentLedgers) : []
    const recorded = kind._tag !== "ToolCall" || ledgers.length === 0
      ? done
      : record({ effect: done, isSafe: kind.isIdempotent, ledgers })
    if (!state.isTraced) return recorded
    const target = targetOf(method, isComposite(operation) ? undefined : operation.params)
    return withSpan(recorded, {
      name: spanNameOf(target),
      kind: "client",
      attributes: { ...serverAttributes(definition), ...spanAttributes(target) },
      atEnd: () => state.sent === undefined ? {} : sentAttributes(state.sent)
    })
  }

  #firstAttempt<A>(operation: Operation<A>, state: RequestState): Effect.Effect<A, SessionError> {
    const live = this.#managed.current
    if (live === undefined) return this.#retry(operation, state, undefined)
    return this.#orRetry(operation, state, this.#sender.attempt(operation, live, state.startedAt, state))
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
      totalTimeout: totalTimeoutOf(operation, this.#host),
      first,
      acquire: state.isTraced
        ? withSpan(Effect.tap(acquire, ({ span }) => linkTo(span)), { name: spans.connection.name, attributes: {} })
        : acquire,
      signIn: (refusal) => this.#managed.signIn(refusal),
      attempt: (live, now) => this.#sender.attempt(operation, live, now, state),
      state,
      closed: () => this.#outcomes.fail(new SessionClosed()),
      expired: (delivery) => {
        const error = this.#outcomes.fail(new RequestTimeout({ method, timeout: this.#host.totalTimeout, delivery }))
        return this.#outcomes.toFinalError(operation, state.latest ?? { sentAt: startedAt, flight: undefined }, error)
      },
      outcomeUnknown: (tool, lost) => this.#outcomes.outcomeUnknown(method, tool, undefined, startedAt, lost)
    })
  }
}
