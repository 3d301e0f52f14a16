/**
 * Circuit breaker of one server, built on the breaker of Effect.
 *
 * While it is closed, a call only reads a flag. Outcomes are recorded after the call.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import type * as Scope from "effect/Scope"
import type { CircuitPolicy, CircuitState } from "../../Circuit.ts"
import { ServerDown, type ServerEjected, SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { CircuitProber, type Probed } from "./circuitProber.ts"
import { sharedCircuits } from "./sharedCircuits.ts"

export interface CircuitBreaker {
  /** Whether operations have to go through `guard`. Read before each, so it is no effect. */
  readonly isOpen: () => boolean
  readonly state: Effect.Effect<CircuitState>
  /** Runs an operation if the circuit lets it through, and records its outcome; else fails with `ServerDown`. */
  readonly guard: <A>(operation: Effect.Effect<A, SessionError>) => Effect.Effect<A, SessionError>
  /**
   * Records the outcome of an operation that was not guarded. Of the operations that were in flight when one failed, only that one counts:
   * they fail for the same reason. Returns `undefined` if there is nothing to record.
   */
  readonly record: (outcome: {
    readonly error: SessionError | undefined
    readonly sentAt: number
  }) => Effect.Effect<void> | undefined
  /**
   * Runs a probe if the circuit lets it through; else fails with `ServerDown`. Its failure opens the circuit again; after its success the next
   * operation passes.
   */
  readonly probe: (probe: Effect.Effect<void, SessionError>) => Effect.Effect<void, SessionError>
  /** Calls a listener when the circuit is open: at once, or when it opens. Returns its removal. */
  readonly onOpen: (listener: () => void) => () => void
  /** The reason of operations that are refused because the circuit is open. */
  readonly refusal: Effect.Effect<ServerDown | ServerEjected>
  /** Lets the next operation through an open circuit. If it succeeds, later ones pass too, until one fails. */
  readonly grantTrial: () => void
  /** Revokes a trial that no operation has used. */
  readonly revokeTrial: () => void
}

/** After how long callers may try again, in milliseconds, while another caller probes the server. */
const probeWait = 1000

/** What a circuit breaker needs of its server. */
export interface CircuitHost {
  /** Called when the circuit has opened or closed. */
  readonly onChange: (isOpen: boolean) => void
  /** The connections through which the server can be probed while the circuit is open. */
  readonly candidates: () => Iterable<Probed>
  /** Runs an effect in the background. */
  readonly fork: (effect: Effect.Effect<void>) => void
}

const alwaysClosed: CircuitBreaker = {
  isOpen: () => false,
  state: Effect.succeed({ state: "closed" }),
  guard: (operation) => operation,
  record: () => undefined,
  probe: (probe) => probe,
  onOpen: () => () => {},
  refusal: Effect.map(monotonic.wallTime, (retryAt) => new ServerDown({ retryAt })),
  grantTrial: () => {},
  revokeTrial: () => {}
}

const classify = (exit: Exit.Exit<unknown, SessionError>): Breaker.Outcome => {
  if (Exit.isSuccess(exit)) return Breaker.success
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") return Breaker.ignored
  switch (error.value.reason.health) {
    case "failed":
      return Breaker.failure()
    case "alive":
      return Breaker.success
    case "untouched":
      return Breaker.ignored
  }
}

/** A success says only that the server answers pings, not that it answers operations. */
const classifyProbe = (exit: Exit.Exit<unknown, SessionError>): Breaker.Outcome => {
  const outcome = classify(exit)
  return outcome._tag === "Failure" ? outcome : Breaker.ignored
}

class BreakerOfServer implements CircuitBreaker {
  readonly #server: string
  readonly #breaker: Breaker.CircuitBreaker
  readonly #onChange: (isOpen: boolean) => void
  readonly #prober: CircuitProber
  readonly #onOpen = new Set<() => void>()
  #isOpen = false
  #hasFailed = false
  #failedAt = Number.NEGATIVE_INFINITY
  /** The breaker of Effect cannot be closed early, so a trial bypasses it. */
  #trial: "none" | "next" | "passed" = "none"

  constructor(server: string, breaker: Breaker.CircuitBreaker, { candidates, fork, onChange }: CircuitHost) {
    this.#server = server
    this.#breaker = breaker
    this.#onChange = onChange
    this.#prober = new CircuitProber({ pause: this.#pause, candidates, fork })
  }

  readonly isOpen = (): boolean => this.#isOpen && this.#trial !== "passed"

  get state(): Effect.Effect<CircuitState> {
    return Effect.flatMap(monotonic.wallTime, (now) =>
      this.#breaker.state(this.#server).pipe(
        Effect.map((state): CircuitState => {
          switch (state._tag) {
            case "Closed":
              return { state: "closed" }
            case "Open":
              return { state: "open", retryAt: now + Duration.toMillis(state.retryAfter) }
            case "HalfOpen":
              return { state: "half-open" }
          }
        }),
        Effect.orElseSucceed((): CircuitState => ({ state: "closed" }))
      ))
  }

  guard<A>(operation: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> {
    return Effect.suspend(() => {
      if (!this.#isOpen || this.#trial === "none") return this.#execute(operation)
      // One operation passes. Its outcome decides about the next.
      if (this.#trial === "next") this.#trial = "none"
      return this.#try(operation)
    })
  }

  record({ error, sentAt }: {
    readonly error: SessionError | undefined
    readonly sentAt: number
  }): Effect.Effect<void> | undefined {
    const isFailure = error?.reason.health === "failed"
    // During a trial, a success closes the circuit as soon as the breaker allows it.
    if (isFailure ? sentAt < this.#failedAt : !this.#hasFailed && this.#trial === "none") return undefined
    this.#hasFailed = isFailure
    if (isFailure) this.#trial = "none"
    return Effect.flatMap(monotonic.now, (now) => {
      if (isFailure) this.#failedAt = now
      return Effect.ignore(this.#execute(error === undefined ? Effect.void : Effect.fail(error)))
    })
  }

  probe(probe: Effect.Effect<void, SessionError>): Effect.Effect<void, SessionError> {
    return this.#execute(probe, classifyProbe)
  }

  onOpen(listener: () => void): () => void {
    if (this.isOpen()) listener()
    else this.#onOpen.add(listener)
    return () => void this.#onOpen.delete(listener)
  }

  get refusal(): Effect.Effect<ServerDown> {
    return Effect.flatMap(this.state, (state) => {
      this.#prober.wake(true)
      return Effect.map(
        monotonic.wallTime,
        (now) => new ServerDown({ retryAt: state.state === "open" ? Math.max(state.retryAt, now) : now + probeWait })
      )
    })
  }

  /** How long to wait before the next probe, in milliseconds. A circuit that waits for an operation as its probe is not probed. */
  get #pause(): Effect.Effect<number | undefined> {
    return Effect.suspend(() => this.#breaker.state(this.#server)).pipe(
      Effect.map((state) => {
        if (state._tag === "Open") return Duration.toMillis(state.retryAfter)
        return state._tag === "HalfOpen" && state.probing ? probeWait : undefined
      }),
      Effect.orElseSucceed(() => undefined)
    )
  }

  grantTrial(): void {
    if (this.#isOpen && this.#trial === "none") this.#trial = "next"
  }

  revokeTrial(): void {
    if (this.#trial === "next") this.#trial = "none"
  }

  #execute<A>(
    operation: Effect.Effect<A, SessionError>,
    outcomeOf: (exit: Exit.Exit<unknown, SessionError>) => Breaker.Outcome = classify
  ): Effect.Effect<A, SessionError> {
    const server = this.#server
    return this.#breaker.execute(operation, { key: server, classify: outcomeOf }).pipe(
      Effect.catchTag("CircuitBreakerError", ({ reason }) =>
        Effect.flatMap(monotonic.wallTime, (now) => {
          this.#prober.wake(true)
          const wait = reason._tag === "CircuitOpen" ? Duration.toMillis(reason.retryAfter) : probeWait
          return Effect.fail(new SessionError({ server, reason: new ServerDown({ retryAt: now + wait }) }))
        })),
      Effect.ensuring(this.#refresh)
    )
  }

  #try<A>(operation: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> {
    return Effect.onExit(operation, (exit) => {
      const { _tag } = classify(exit)
      if (_tag !== "Ignored") this.#trial = _tag === "Success" ? "passed" : "none"
      return Effect.void
    })
  }

  #refuseWaiting(): void {
    const waiting = [...this.#onOpen]
    this.#onOpen.clear()
    for (const listener of waiting) listener()
  }

  get #refresh(): Effect.Effect<void> {
    return this.#breaker.state(this.#server).pipe(
      Effect.map(({ _tag }) => {
        const wasOpen = this.#isOpen
        this.#isOpen = _tag !== "Closed"
        if (!this.#isOpen) this.#trial = "none"
        if (_tag === "Open") this.#prober.wake(false)
        if (this.#isOpen === wasOpen) return
        if (this.#isOpen) this.#refuseWaiting()
        this.#onChange(this.#isOpen)
      }),
      Effect.ignore
    )
  }
}

/** A new store in memory. It measures by the monotonic time. One that processes share has a clock of its own. */
const inMemory = Effect.map(Effect.scoped(Layer.build(Layer.fresh(Breaker.layerStoreMemory()))), (context) => {
  const store = Context.get(context, Breaker.CircuitBreakerStore)
  return Breaker.CircuitBreakerStore.of({
    admit: (key) => monotonic.withMonotonicClock(store.admit(key)),
    record: (outcome) => monotonic.withMonotonicClock(store.record(outcome)),
    state: (key) => monotonic.withMonotonicClock(store.state(key))
  })
})

/**
 * Makes the constructor of circuit breakers, on the `CircuitBreakerStore` of the context or on one in memory.
 */
export const make = Effect.fnUntraced(function*(
  policy: CircuitPolicy
): Effect.fn.Return<(server: string, host: CircuitHost) => CircuitBreaker, never, Scope.Scope> {
  if (policy.failures === Number.POSITIVE_INFINITY) return () => alwaysClosed
  const provided = yield* Effect.serviceOption(Breaker.CircuitBreakerStore)
  const store = provided._tag === "Some"
    ? sharedCircuits(provided.value, inMemory, yield* Effect.scope)
    : yield* inMemory
  const breaker = yield* Breaker.make({
    tripPolicy: Breaker.consecutive(policy.failures),
    openDuration: policy.openFor
  }).pipe(Effect.provideService(Breaker.CircuitBreakerStore, store))
  return (server, host) => new BreakerOfServer(server, breaker, host)
})
