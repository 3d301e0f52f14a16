/**
 * `Retry-After`: how long a server asks to wait.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { SessionError } from "../SessionError.ts"

/** Longer delays are cut to this. */
export const maxRetryAfter = Duration.minutes(1)

/** The date format of HTTP. A general date parser also accepts other text, such as `-7`. */
const httpDate = /^[A-Z][a-z]+, .+ GMT$/

/** Reads the header: a number of seconds, or a date that is compared with the time of day `now`. Zero for other text. */
export const parseRetryAfter = (options: { readonly text: string; readonly now: number }): Duration.Duration => {
  const text = options.text.trim()
  const millis = /^\d+$/.test(text)
    ? Number(text) * 1000
    : Option.match(httpDate.test(text) ? DateTime.make(text) : Option.none(), {
      onNone: () => 0,
      onSome: (date) => DateTime.toEpochMillis(date) - options.now
    })
  return Duration.millis(Math.min(Math.max(0, millis), Duration.toMillis(maxRetryAfter)))
}

/** How long the `Retry-After` of an error asks to wait at the time of day `now`. Zero for an error without one. */
export const retryAfterOf = (options: { readonly error: SessionError; readonly now: number }): Duration.Duration => {
  const { error: { reason }, now } = options
  const text = reason._tag === "HttpFailed" ? reason.retryAfter : undefined
  return text === undefined ? Duration.zero : parseRetryAfter({ text, now })
}
