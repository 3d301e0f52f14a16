/**
 * Circuits in a store that processes share. While the store cannot be used, this process has circuits of its own, which start closed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Breaker from "effect/persistence/CircuitBreaker"
import { SharedStore } from "./sharedStore.ts"

type Store = Breaker.CircuitBreakerStore["Service"]

/** The generations of circuits in memory are negative here, so that each outcome is recorded where it was admitted. */
const localGeneration = (generation: number): number => -1 - generation

export const sharedCircuits = (store: Store, local: Store): Store => {
  const shared = new SharedStore<Breaker.CircuitBreakerError>({
    subject: "the circuits of servers",
    isFailure: ({ reason }) => reason._tag === "CircuitBreakerStoreError"
  })
  const admitLocally = (key: string) =>
    Effect.map(local.admit(key), (admission) => ({ ...admission, generation: localGeneration(admission.generation) }))
  const recordLocally: Store["record"] = (options) =>
    local.record({ ...options, generation: localGeneration(options.generation) })
  /** An operation that the store has admitted, and of which it could not be told the outcome. */
  const recordLate: Store["record"] = (options) =>
    Effect.scoped(
      Effect.flatMap(local.admit(options.key), ({ generation }) => local.record({ ...options, generation }))
    )
  return {
    admit: (key) => shared.orLocal(store.admit(key), admitLocally(key)),
    record: (options) =>
      options.generation < 0
        ? recordLocally(options)
        : Effect.flatMap(shared.attempt(store.record(options)), (recorded) =>
          Option.isSome(recorded) ? Effect.succeed(recorded.value) : recordLate(options)),
    state: (key) => shared.orLocal(store.state(key), local.state(key))
  }
}
