/**
 * The circuits of this process, for the outages of the store that processes share. Each outage has circuits of its own, which start closed:
 * what was counted in an earlier outage is older than what the store has counted since.
 */
import * as Effect from "effect/Effect"
import type * as Breaker from "effect/persistence/CircuitBreaker"

type Store = Breaker.CircuitBreakerStore["Service"]
type Outcome = Parameters<Store["record"]>[0]

interface Circuits {
  readonly outage: number
  readonly store: Store
  /** The number of generations of all earlier outages. */
  readonly earlier: number
}

/**
 * Records the outcome of an operation that these circuits did not admit, as if they admitted it now. An open circuit records nothing, as it
 * does for operations that were in flight when it opened.
 */
export const recordAnew = (store: Store, outcome: Outcome): ReturnType<Store["record"]> =>
  Effect.scoped(
    Effect.flatMap(store.admit(outcome.key), ({ generation }) => store.record({ ...outcome, generation }))
  ).pipe(
    Effect.catchIf(({ reason }) => reason._tag !== "CircuitBreakerStoreError", () => Effect.as(Effect.void, undefined))
  )

/** Generations of these circuits are negative and differ between outages, so that each outcome is recorded where it was admitted. */
export class LocalCircuits {
  readonly #outage: () => number
  readonly #make: Effect.Effect<Store>
  #latest: Circuits | undefined
  #generations = 0

  /** `outage` gives the number of the latest outage, `make` the circuits of one outage. */
  constructor(outage: () => number, make: Effect.Effect<Store>) {
    this.#outage = outage
    this.#make = make
  }

  admit(key: string): ReturnType<Store["admit"]> {
    return Effect.flatMap(this.#circuits, ({ earlier, store }) =>
      Effect.map(store.admit(key), (admission) => {
        const generation = earlier + admission.generation
        this.#generations = Math.max(this.#generations, generation + 1)
        return { ...admission, generation: -1 - generation }
      }))
  }

  /** Records an outcome: in the generation of its operation, or anew if that was not admitted in this outage. */
  record(outcome: Outcome): ReturnType<Store["record"]> {
    return Effect.flatMap(this.#circuits, ({ earlier, store }) => {
      const generation = -1 - outcome.generation - earlier
      return generation >= 0 ? store.record({ ...outcome, generation }) : recordAnew(store, outcome)
    })
  }

  state(key: string): ReturnType<Store["state"]> {
    return Effect.flatMap(this.#circuits, ({ store }) => store.state(key))
  }

  get #circuits(): Effect.Effect<Circuits> {
    return Effect.suspend(() => {
      const outage = this.#outage()
      const latest = this.#latest
      if (latest?.outage === outage) return Effect.succeed(latest)
      return Effect.map(this.#make, (store) => {
        // Another fiber may have made them meanwhile.
        if (this.#latest?.outage === outage) return this.#latest
        return this.#latest = { outage, store, earlier: this.#generations }
      })
    })
  }
}
