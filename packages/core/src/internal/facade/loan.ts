/**
 * Loan: a session that an operation of the program uses until it ends. The calls on the session that are still running then end with it.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Writes } from "../request/writes.ts"
import { endAll, type RunningCall } from "./runningCall.ts"

export class Loan {
  /** The record of the operation. */
  readonly writes: Writes | undefined
  readonly #calls = new Set<RunningCall>()
  #isEnded = false

  constructor(writes: Writes | undefined) {
    this.writes = writes
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  add(call: RunningCall): void {
    this.#calls.add(call)
  }

  remove(call: RunningCall): void {
    this.#calls.delete(call)
  }

  /** Ends the calls, and waits for their end. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isEnded = true
      return Effect.asVoid(Fiber.awaitAll(endAll(this.#calls)))
    })
  }
}
