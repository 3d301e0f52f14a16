/**
 * Circuits in a store that processes share. While the store cannot be used, this process has circuits of its own.
 */
import type * as Effect from "effect/Effect"
import type * as Breaker from "effect/persistence/CircuitBreaker"
import type * as Scope from "effect/Scope"
import { LocalCircuits, recordAnew } from "./localCircuits.ts"
import { SharedStore } from "./sharedStore.ts"

type Store = Breaker.CircuitBreakerStore["Service"]

/** `makeLocal` makes the circuits of one outage. The store is probed in the scope. */
export const sharedCircuits = (store: Store, makeLocal: Effect.Effect<Store>, scope: Scope.Scope): Store => {
  const shared = new SharedStore<Breaker.CircuitBreakerError>({
    subject: "the circuits of servers",
    isFailure: ({ reason }) => reason._tag === "CircuitBreakerStoreError",
    scope
  })
  const local = new LocalCircuits(() => shared.outages, makeLocal)
  return {
    // An admission may be the only one of a half-open circuit, so a probe reads the state.
    admit: (key) => shared.orLocal(store.admit(key), local.admit(key), store.state(key)),
    record: (outcome) =>
      shared.orLocal(
        // Generations of local circuits are negative: the outage in which the operation was admitted is over.
        outcome.generation < 0 ? recordAnew(store, outcome) : store.record(outcome),
        local.record(outcome),
        // The store knows nothing of a call that a local circuit has admitted, so its probe only reads the state.
        outcome.generation < 0 ? store.state(outcome.key) : undefined
      ),
    state: (key) => shared.orLocal(store.state(key), local.state(key))
  }
}
