/**
 * Token refusals: counts the requests whose tokens are not accepted, and records them for the audit at a bounded rate.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type { RefusalReason } from "./admission/challenges.ts"
import type { Recorder } from "./call/audit.ts"

/** How many records a second may have, on average, and how many at once. */
const [recordsPerSecond, burst] = [1, 10]

const total = Metric.counter("mcp_sessions_gateway_refusals_total", {
  description: "Requests that the gateway refused because of their token",
  incremental: true
})

export class TokenRefusals {
  readonly #record: Recorder | undefined
  readonly #now: () => number
  readonly #fork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>
  #tokens = burst
  #filledAt: number
  #skipped = 0

  constructor({ fork, now, record }: {
    readonly record: Recorder | undefined
    /** Monotonic time in milliseconds. */
    readonly now: () => number
    readonly fork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>
  }) {
    this.#record = record
    this.#now = now
    this.#fork = fork
    this.#filledAt = now()
  }

  /** Counts a refusal. A client that has no token yet is counted and not recorded: so every sign-in begins. */
  add(reason: RefusalReason, address: string): void {
    this.#fork(Metric.update(Metric.withAttributes(total, { reason }), 1))
    if (this.#record === undefined || reason === "NoToken") return
    const now = this.#now()
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#filledAt) / 1000 * recordsPerSecond)
    this.#filledAt = now
    if (this.#tokens < 1) {
      this.#skipped++
      return
    }
    this.#tokens--
    const skipped = this.#skipped
    this.#skipped = 0
    this.#record({ _tag: "Refused", reason, address, skipped })
  }
}
