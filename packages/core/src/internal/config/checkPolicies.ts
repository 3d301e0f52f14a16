/**
 * The policies of sessions, checked: all that is wrong with them at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { CircuitPolicy } from "../../Circuit.ts"
import type { ConfigError } from "../../ConfigError.ts"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import { Checks } from "./optionChecks.ts"

const counts = { from: 1, to: 1000 }
const durations = { from: 1, to: Duration.toMillis(Duration.days(1)) }

/** Fails with a problem for each value that makes no sense. */
export const checkPolicies = ({ circuit, fallback }: {
  readonly circuit?: CircuitPolicy | undefined
  readonly fallback?: FallbackPolicy | undefined
}): Effect.Effect<void, ConfigError> =>
  Effect.suspend(() => {
    const checks = new Checks()
    if (circuit !== undefined) {
      const { failures, openFor } = circuit
      if (failures !== Number.POSITIVE_INFINITY) checks.whole(failures, { path: ["circuit", "failures"], ...counts })
      if (!Schedule.isSchedule(openFor)) checks.millis(openFor, { path: ["circuit", "openFor"], ...durations })
    }
    if (fallback !== undefined) {
      checks.whole(fallback.goodProbes, { path: ["fallback", "goodProbes"], ...counts })
      checks.millis(fallback.probeInterval, { path: ["fallback", "probeInterval"], ...durations })
      checks.millis(fallback.panicWindow, { path: ["fallback", "panicWindow"], ...durations })
    }
    return checks.done
  })
