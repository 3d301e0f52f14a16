/**
 * When a server is left alone for a while: after failures of its channel, one after the other.
 *
 * An open circuit lets nothing through to the server: connects and calls fail with `ServerDown`, at once. When its time is over,
 * one of them goes through as a probe, and how that ends decides. Errors that a server answers with never open it.
 *
 * **Details**
 *
 * Circuits are kept in the process. Provide a `CircuitBreakerStore` of `effect/persistence/CircuitBreaker` to the layer of the
 * sessions, such as the one on Redis, and processes share them. One that has a connection already learns that another has opened
 * a circuit when it connects the next time or a call of its own fails. Such a store is waited for half a second; where it does
 * not answer, calls go through as if there were none.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"

/**
 * `failures` in a row open the circuit (`Infinity`: none do), for as long as `openFor` says: by the count of openings where it
 * is a schedule.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitPolicy {
  readonly failures: number
  readonly openFor: Duration.Input | Schedule.Schedule<unknown, number>
}

/**
 * The default: 4 failures in a row open it for 5 seconds, then 10, up to a minute. One round of the default retry policy does not
 * open it.
 *
 * @category defaults
 * @since 0.1.0
 */
export const circuitDefault: CircuitPolicy = {
  failures: 4,
  openFor: Schedule.min([Schedule.exponential("5 seconds"), Schedule.spaced("60 seconds")])
}

/**
 * The state of a circuit: `closed` lets everything through, `open` nothing until `retryAt` (milliseconds since the epoch),
 * when the next operation is a probe; `half-open` is the time of the probe.
 *
 * @category models
 * @since 0.1.0
 */
export type CircuitState =
  | { readonly state: "closed" }
  | { readonly state: "open"; readonly retryAt: number }
  | { readonly state: "half-open" }

/**
 * A circuit that never opens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: CircuitPolicy = { ...circuitDefault, failures: Number.POSITIVE_INFINITY }
