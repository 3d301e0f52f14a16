/**
 * Attempts: sends an operation once, on one connection, when the permits are taken.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Reason, RequestTimeout, type SessionError, TransportClosed } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import { pingTimeout } from "../connection/liveness.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import { withSpan } from "../telemetry.ts"
import { InFlight, type InFlightHost } from "./inFlightRecord.ts"
import { isComposite, type Operation, type RequestOperation } from "./operation.ts"
import type { Attempt, Outcomes } from "./outcomes.ts"
import type { CallerPolicy } from "./retryLoop.ts"
import type { Writes } from "./writes.ts"

/** The state of one operation. */
export interface RequestState {
  readonly caller: CallerPolicy
  readonly startedAt: number
  readonly isTraced: boolean
  readonly writes: Writes | undefined
  attempts: number
}

export class Attempts {
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

  /** Sends one request. The permits were taken before. */
  send<A>(
    operation: RequestOperation<A>,
    live: LiveConnection,
    attempt: Attempt,
    latest: number,
    onEnd: (outcome: Exit.Exit<A, Reason>, flight: InFlight) => void
  ): InFlight {
    const { decode, method, onProgress, params, recover, timeout, wireMethod } = operation
    if (operation.kind._tag !== "Probe") this.#managed.server.counters.requests++
    const ownTimeout = timeout === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(timeout))
    const flight: InFlight = new InFlight({
      host: this.#host,
      live,
      method: wireMethod === undefined || live.info === undefined ? method : wireMethod(live.info),
      params,
      onProgress,
      timeout: ownTimeout ?? this.#requestTimeout,
      isLongRunning: ownTimeout !== undefined && ownTimeout > pingTimeout,
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

  /** One attempt on one connection. */
  make<A>(
    operation: Operation<A>,
    live: LiveConnection,
    now: number,
    state: RequestState
  ): Effect.Effect<A, SessionError> {
    const attempts = ++state.attempts
    const { circuitBreaker } = this.#managed.server
    const isProbe = circuitBreaker.isOpen()
    const attempt: Attempt = { sentAt: now, epoch: 0, flight: undefined, isProbe }
    const sent = this.#attemptOnce(operation, live, attempt, state.writes)
    const settled = isProbe ? circuitBreaker.guard(sent) : sent
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
      isAdmitted = this.#host.admission.tryTake()
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
        const flight = this.send(operation, live, attempt, latest, (exit, flight) => {
          // A typed failure is recorded before its permits are released.
          if (Exit.findErrorOption(exit)._tag === "Some") return resume(exit)
          const released = flight.release()
          resume(released === undefined ? exit : Effect.andThen(Effect.uninterruptible(released), exit))
        })
        return flight.cancel
      })
    })
    return Effect.andThen(admitted, outcome).pipe(
      Effect.onExit(() => isAdmitted && !isLaunched ? this.#host.admission.release() ?? Effect.void : Effect.void),
      Effect.matchEffect({
        onSuccess: (value) => this.#outcomes.succeeded(live, attempt, Exit.succeed(value)),
        onFailure: (reason) => this.#outcomes.failed(operation, live, attempt, reason)
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
    return Effect.flatMap(
      this.#host.admission.wait({ method, latest, isProbe: attempt.isProbe, onTaken }),
      (): Effect.Effect<void, Reason> => {
        attempt.sentAt = this.#host.timers.now()
        const { circuitBreaker } = this.#managed.server
        // Either may have happened in the moment in which the permits became free.
        if (attempt.sentAt >= latest) {
          return Effect.fail(new RequestTimeout({ method, timeout: this.#host.totalTimeout, delivery: "NotSent" }))
        }
        if (!attempt.isProbe && circuitBreaker.isOpen()) return Effect.flatMap(circuitBreaker.refusal, Effect.fail)
        // The connection was lost while the request waited.
        return live.isRetired ? Effect.fail(new TransportClosed({ delivery: "NotSent" })) : Effect.void
      }
    )
  }
}
