/**
 * The policies of sessions, checked: all that is wrong with them at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { CircuitPolicy } from "../Circuit.ts"
import { ConfigError, type ConfigProblem, InvalidDuration, InvalidValue } from "../ConfigError.ts"
import type { FallbackPolicy } from "../Fallback.ts"

const isDuration = (value: Duration.Input): boolean => {
  const millis = Option.getOrUndefined(Option.map(Duration.fromInput(value), Duration.toMillis))
  return millis !== undefined && millis >= 1 && millis <= Duration.toMillis(Duration.days(1))
}

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 1000

/** Fails with a problem for each value that makes no sense. */
export const checkPolicies = ({ circuit, fallback }: {
  readonly circuit?: CircuitPolicy | undefined
  readonly fallback?: FallbackPolicy | undefined
}): Effect.Effect<void, ConfigError> =>
  Effect.suspend(() => {
    const problems: Array<ConfigProblem> = []
    const at = (...path: ReadonlyArray<string>) => ({ source: undefined, server: undefined, path })
    const count = (value: number, ...path: ReadonlyArray<string>) => {
      if (!isCount(value)) {
        problems.push(new InvalidValue({ ...at(...path), expected: "a whole number from 1 to 1000" }))
      }
    }
    const duration = (value: Duration.Input, ...path: ReadonlyArray<string>) => {
      if (!isDuration(value)) {
        problems.push(new InvalidDuration({ ...at(...path), expected: "between 1 millis and 1 day" }))
      }
    }
    if (circuit !== undefined) {
      if (circuit.failures !== Number.POSITIVE_INFINITY) count(circuit.failures, "circuit", "failures")
      if (!Schedule.isSchedule(circuit.openFor)) duration(circuit.openFor, "circuit", "openFor")
    }
    if (fallback !== undefined) {
      count(fallback.goodProbes, "fallback", "goodProbes")
      duration(fallback.probeInterval, "fallback", "probeInterval")
      duration(fallback.panicWindow, "fallback", "panicWindow")
    }
    const [first, ...rest] = problems
    return first === undefined ? Effect.void : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
  })
