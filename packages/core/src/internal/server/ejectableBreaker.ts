/**
 * Circuit breaker that a program can hold open: while the server is ejected, nothing is sent to it and nothing probes it. Readmission leaves
 * the circuit as it was before.
 */
import * as Effect from "effect/Effect"
import type { CircuitState } from "../../Circuit.ts"
import { ServerEjected, SessionError } from "../../SessionError.ts"
import type { CircuitBreaker } from "./circuitBreaker.ts"

const refused = Effect.sync(() => new ServerEjected())

export class EjectableBreaker implements CircuitBreaker {
  readonly #server: string
  readonly #inner: CircuitBreaker
  readonly #onOpen = new Set<() => void>()
  #isEjected = false

  constructor(server: string, inner: CircuitBreaker) {
    this.#server = server
    this.#inner = inner
  }

  /** Holds the circuit open, and refuses the callers that wait. Returns whether it was not held before. */
  eject(): boolean {
    if (this.#isEjected) return false
    this.#isEjected = true
    const waiting = [...this.#onOpen]
    this.#onOpen.clear()
    for (const listener of waiting) listener()
    return true
  }

  /** Leaves the circuit to its policy again. Returns whether it was held open. */
  readmit(): boolean {
    const wasEjected = this.#isEjected
    this.#isEjected = false
    return wasEjected
  }

  readonly isOpen = (): boolean => this.#isEjected || this.#inner.isOpen()

  get state(): Effect.Effect<CircuitState> {
    return Effect.suspend(() => this.#isEjected ? Effect.succeed({ state: "ejected" } as const) : this.#inner.state)
  }

  guard<A>(operation: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> {
    return Effect.suspend(() => this.#isEjected ? this.#refuse : this.#inner.guard(operation))
  }

  record(outcome: Parameters<CircuitBreaker["record"]>[0]): Effect.Effect<void> | undefined {
    return this.#inner.record(outcome)
  }

  probe(probe: Effect.Effect<void, SessionError>): Effect.Effect<void, SessionError> {
    return Effect.suspend(() => this.#isEjected ? this.#refuse : this.#inner.probe(probe))
  }

  onOpen(listener: () => void): () => void {
    if (this.isOpen()) {
      listener()
      return () => {}
    }
    this.#onOpen.add(listener)
    const remove = this.#inner.onOpen(() => {
      if (this.#onOpen.delete(listener)) listener()
    })
    return () => {
      this.#onOpen.delete(listener)
      remove()
    }
  }

  get refusal(): CircuitBreaker["refusal"] {
    return Effect.suspend(() => this.#isEjected ? refused : this.#inner.refusal)
  }

  grantTrial(): void {
    if (!this.#isEjected) this.#inner.grantTrial()
  }

  revokeTrial(): void {
    this.#inner.revokeTrial()
  }

  get #refuse(): Effect.Effect<never, SessionError> {
    return Effect.flatMap(refused, (reason) => Effect.fail(new SessionError({ server: this.#server, reason })))
  }
}
