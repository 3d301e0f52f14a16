/**
 * Pause that an authorization server asks for with `Retry-After`.
 *
 * A renewal waits for a short one. After a longer one it fails, and nothing is asked until it is over: the calls of many users would otherwise
 * ask a server again and again that says that it has too much to do.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
import { parseRetryAfter } from "@mcp-sessions/core/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { StepFailed } from "./failure.ts"
import { timeOfDay } from "./timeOfDay.ts"

/** How long a renewal waits, in milliseconds. */
const longestWait = 5000

const monotonicNow = Effect.map(Clock.Clock, (clock) => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n))

export class Pause {
  /** In milliseconds of monotonic time. */
  #until = 0

  /** Takes the pause that a failure asks for. A minute is the longest that is taken. */
  take({ retryAfter }: StepFailed): Effect.Effect<void> {
    if (retryAfter === undefined) return Effect.void
    return Effect.gen({ self: this }, function*() {
      const pause = parseRetryAfter({ text: retryAfter, now: yield* timeOfDay })
      this.#until = (yield* monotonicNow) + Duration.toMillis(pause)
    })
  }

  /** Waits until the pause is over, or fails if that takes long. */
  get over(): Effect.Effect<void, StepFailed> {
    return Effect.flatMap(monotonicNow, (now) => {
      const left = this.#until - now
      if (left <= 0) return Effect.void
      return left <= longestWait ? Effect.sleep(left) : new StepFailed({
        kind: "Busy",
        description: `the authorization server asks to be left alone for ${Math.ceil(left / 1000)} seconds more`
      })
    })
  }
}
