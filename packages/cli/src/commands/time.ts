/**
 * The time of day, for lines that are printed as things happen.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"

/** Reads the time as ISO 8601 text. */
export const timestamp: Effect.Effect<string> = Effect.map(
  Clock.currentTimeMillis,
  (millis) => DateTime.formatIso(DateTime.makeUnsafe(millis))
)

/** Formats a time in milliseconds since the epoch as local `12:00:05`. */
export const clockText = (millis: number): string =>
  DateTime.formatLocal(DateTime.makeUnsafe(millis), { locale: "en-GB", timeStyle: "medium" })

/** Reads the local time as `12:00:05`. */
export const timeOfDay: Effect.Effect<string> = Effect.map(Clock.currentTimeMillis, clockText)
