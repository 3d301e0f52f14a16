/**
 * The time of day. Processes that share tokens, and the servers that issue them, agree on no other clock.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** The time, in milliseconds since the epoch. */
export const timeOfDay: Effect.Effect<number> = Clock.currentTimeMillis

/** A reader of the time. */
export const readTimeOfDay: Effect.Effect<() => number> = Effect.map(
  Clock.Clock,
  (clock) => () => clock.currentTimeMillisUnsafe()
)
