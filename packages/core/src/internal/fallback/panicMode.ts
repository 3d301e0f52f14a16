/**
 * Panic mode: while no server is fit, one operation per window uses the server with the fewest failures.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { FallbackServer } from "./fallbackPort.ts"

/** Limits how often unfit servers are used. */
export class PanicMode {
  readonly #windowMillis: number
  /** When a server last took part in panic mode, in milliseconds of monotonic time. */
  readonly #enteredAt = new Map<string, number>()

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis
  }

  /** Admits one operation per window to `servers`, all of which are unfit. */
  admits(servers: ReadonlyArray<FallbackServer>, now: number): boolean {
    const isRecent = ({ server }: FallbackServer) =>
      now - (this.#enteredAt.get(server) ?? -Infinity) < this.#windowMillis
    if (servers.some(isRecent)) return false
    for (const { server } of servers) this.#enteredAt.set(server, now)
    return true
  }
}

/** Lets the operation of a scope pass the open circuit of a server, and readmits the server if it has answered. */
export const usingUnfit = ({ state, outliers }: FallbackServer): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => state.circuitBreaker.grantTrial()),
    (_, exit) => {
      state.circuitBreaker.revokeTrial()
      const hasAnswered = state.health.errorCount === 0 && !Exit.hasInterrupts(exit)
      return hasAnswered ? outliers.readmit : Effect.void
    }
  )
