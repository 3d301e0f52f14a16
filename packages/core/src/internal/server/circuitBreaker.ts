/**
 * The circuits of all servers, on the breaker of Effect.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as Scope from "effect/Scope"
import type { CircuitPolicy, CircuitState } from "../../Circuit.ts"
import { ServerDown, SessionError } from "../../SessionError.ts"

/** The circuit of one server. */
export interface Circuit {
  /** Whether calls have to go through `guard`: looked at before each, so it takes no effect. */
  readonly isOpen: () => boolean
  /** In which state it is. */
  readonly state: Effect.Effect<CircuitState>
  /** Lets an operation through to the server, or fails with `ServerDown`. How it ends counts. */
  readonly guard: <A>(operation: Effect.Effect<A, SessionError>) => Effect.Effect<A, SessionError>
  /**
   * Notes the end of an operation that was not guarded. Of those that were under way when one failed, that one counts: they
   * tell of the same.
   */
  readonly note: (end: { readonly error: SessionError | undefined; readonly sentAt: number }) => Effect.Effect<void>
  /** Lets the next operation through, even if it is open. If that is answered so are those after it, until one fails. */
  readonly pardon: () => void
  /** Takes back a pardon that was of no use to anyone. */
  readonly unpardon: () => void
}

/** How long to wait for a probe that another caller makes, in milliseconds. */
const probing = 1000

const inert: Circuit = {
  isOpen: () => false,
  state: Effect.succeed({ state: "closed" }),
  guard: (operation) => operation,
  note: () => Effect.void,
  pardon: () => {},
  unpardon: () => {}
}

const classify = (exit: Exit.Exit<unknown, SessionError>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && error.value.reason.health === "failed"
    ? CircuitBreaker.failure()
    : error._tag === "Some" && error.value.reason.health === "alive"
    ? CircuitBreaker.success
    : CircuitBreaker.ignored
}

/** How long a store that is not in this process may take: one that is away is to cost calls little. */
const storePatience = "500 millis"

const impatient = (
  store: CircuitBreaker.CircuitBreakerStore["Service"]
): CircuitBreaker.CircuitBreakerStore["Service"] => {
  const inTime = Effect.timeoutOrElse({
    duration: storePatience,
    orElse: () => {
      const message = `the store of the circuits took longer than ${storePatience}`
      const reason = new CircuitBreaker.CircuitBreakerStoreError({ message })
      return Effect.fail(new CircuitBreaker.CircuitBreakerError({ reason }))
    }
  })
  return {
    ...store,
    admit: (key) => inTime(store.admit(key)),
    record: (outcome) => inTime(store.record(outcome)),
    state: (key) => inTime(store.state(key))
  }
}

/** Makes circuits by a policy: one for each name. */
export const make = Effect.fnUntraced(function*(
  policy: CircuitPolicy
): Effect.fn.Return<(server: string) => Circuit, never, Scope.Scope> {
  if (policy.failures === Number.POSITIVE_INFINITY) return () => inert
  const given = yield* Effect.serviceOption(CircuitBreaker.CircuitBreakerStore)
  const store = given._tag === "Some"
    ? impatient(given.value)
    : Context.get(yield* Layer.build(CircuitBreaker.layerStoreMemory()), CircuitBreaker.CircuitBreakerStore)
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(policy.failures),
    openDuration: policy.openFor
  }).pipe(Effect.provideService(CircuitBreaker.CircuitBreakerStore, store))

  return (server) => {
    let isOpen = false
    let hasFailed = false
    let failedAt = Number.NEGATIVE_INFINITY
    /** The breaker of Effect cannot be closed before its time, so a pardon goes past it. */
    let pardon: "none" | "next" | "granted" = "none"

    const look = breaker.state(server).pipe(
      Effect.map(({ _tag }) => {
        isOpen = _tag !== "Closed"
        if (!isOpen) pardon = "none"
      }),
      // A store that cannot be read lets everything through, as it does calls.
      Effect.ignore
    )

    const execute = <A>(operation: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> =>
      breaker.execute(operation, { key: server, classify }).pipe(
        Effect.catchTag("CircuitBreakerError", ({ reason }) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const wait = reason._tag === "CircuitOpen" ? Duration.toMillis(reason.retryAfter) : probing
            return Effect.fail(new SessionError({ server, reason: new ServerDown({ retryAt: now + wait }) }))
          })),
        Effect.ensuring(look)
      )

    /** Past the breaker. An answer keeps the way open, a failure ends that. */
    const executePardoned = <A>(operation: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> =>
      Effect.onExit(operation, (exit) => {
        const { _tag } = classify(exit)
        if (_tag !== "Ignored") pardon = _tag === "Success" ? "granted" : "none"
        return Effect.void
      })

    return {
      isOpen: () => isOpen && pardon !== "granted",
      pardon: () => {
        if (isOpen && pardon === "none") pardon = "next"
      },
      unpardon: () => {
        if (pardon === "next") pardon = "none"
      },
      state: Effect.flatMap(Clock.currentTimeMillis, (now) =>
        breaker.state(server).pipe(
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
          // A store that cannot be read lets everything through.
          Effect.orElseSucceed((): CircuitState => ({ state: "closed" }))
        )),
      guard: (operation) =>
        Effect.suspend(() => {
          if (!isOpen || pardon === "none") return execute(operation)
          // One goes through. It says what becomes of the others.
          if (pardon === "next") pardon = "none"
          return executePardoned(operation)
        }),
      note: ({ error, sentAt }) => {
        const isFailure = error?.reason.health === "failed"
        // Pardoned, an answer closes the circuit as soon as the breaker lets it.
        if (isFailure ? sentAt < failedAt : !hasFailed && pardon === "none") return Effect.void
        hasFailed = isFailure
        if (isFailure) pardon = "none"
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (isFailure) failedAt = now
          return Effect.ignore(execute(error === undefined ? Effect.void : Effect.fail(error)))
        })
      }
    }
  }
})
