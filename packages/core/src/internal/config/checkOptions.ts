/**
 * Checks options that programs give against a schema, and reports every problem of them at once.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { CircuitPolicy } from "../../Circuit.ts"
import type { ConfigError, ConfigProblem } from "../../ConfigError.ts"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import { failWith } from "./failWith.ts"
import { decodeValue, durationInput, expecting, expectingDuration, wholeNumber } from "./values.ts"

/** Decodes options, or fails with every problem of them. */
export const decodeOptions = <A>({ path, schema, server, value }: {
  readonly schema: Schema.ConstraintDecoder<A>
  readonly value: unknown
  /** The keys that lead to the options. */
  readonly path: ReadonlyArray<string>
  readonly server?: string | undefined
}): Result.Result<A, ReadonlyArray<ConfigProblem>> =>
  decodeValue({
    schema,
    value,
    place: { source: undefined, server, path },
    expectation: { text: "an object of options", problem: "InvalidValue" },
    // The options of one call hold more than what one schema checks.
    unknownMembers: "ignore"
  })

const count = wholeNumber({ minimum: 1, maximum: 1000 })

const time = durationInput({ minimum: 1, maximum: "24 hours" })

const Circuit = Schema.Struct({
  failures: Schema.Union([count, Schema.declare((value): value is number => value === Number.POSITIVE_INFINITY)])
    .annotate(expecting("a whole number from 1 to 1000, or Infinity")),
  openFor: Schema.Union([time, Schema.declare(Schedule.isSchedule)]).annotate(
    expectingDuration("a duration from 1 ms to 24 hours, or a schedule")
  )
})

const Fallback = Schema.Struct({ goodProbes: count, probeInterval: time, panicWindow: time })

/** Fails with every problem of the policies of sessions. */
export const checkPolicies = ({ circuit, fallback }: {
  readonly circuit?: CircuitPolicy | undefined
  readonly fallback?: FallbackPolicy | undefined
}): Effect.Effect<void, ConfigError> =>
  Effect.suspend(() => {
    const problemsOf = (key: string, schema: Schema.ConstraintDecoder<unknown>, value: unknown) =>
      value === undefined ? [] : Result.match(decodeOptions({ schema, value, path: [key] }), {
        onSuccess: () => [],
        onFailure: (problems) => problems
      })
    const problems = [...problemsOf("circuit", Circuit, circuit), ...problemsOf("fallback", Fallback, fallback)]
    return problems.length === 0 ? Effect.void : failWith(problems)
  })
