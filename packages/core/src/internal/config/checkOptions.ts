/**
 * Checks options that programs give against a schema, and reports every problem of them at once.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { CircuitPolicy } from "../../Circuit.ts"
import { type ConfigError, type ConfigProblem, UnknownKey } from "../../ConfigError.ts"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import { BadOptions, checkBy, isPlainObject, type Rule } from "./callOptions.ts"
import { failWith } from "./failWith.ts"
import { aFunction, anything, retryPolicy } from "./optionRules.ts"
import { decodeValue, durationInput, expecting, expectingDuration, wholeNumber } from "./values.ts"

/** The keys of options that are not known, as problems. */
const unknownKeys = ({ known, path, server, value }: {
  readonly value: unknown
  readonly known: ReadonlyArray<string>
  readonly path: ReadonlyArray<string>
  readonly server: string | undefined
}): ReadonlyArray<ConfigProblem> =>
  !isPlainObject(value) ? [] : Object.entries(value as object)
    .filter(([key, member]) => member !== undefined && !known.includes(key))
    .map(([key]) => new UnknownKey({ server, path: [...path, key], key, validNames: known }))

/** Decodes options, or fails with every problem of them. */
export const decodeOptions = <A>({ path, schema, server, value }: {
  readonly schema: Schema.ConstraintDecoder<A> & { readonly fields: object }
  readonly value: unknown
  /** The keys that lead to the options. */
  readonly path: ReadonlyArray<string>
  readonly server?: string | undefined
}): Result.Result<A, ReadonlyArray<ConfigProblem>> => {
  const known = Object.keys(schema.fields)
  const unknown = unknownKeys({ known, path, server, value })
  const decoded = decodeValue({
    schema,
    value,
    place: { source: undefined, server, path },
    expectation: { text: "an object of options", problem: "InvalidValue" },
    unknownMembers: "ignore"
  })
  if (unknown.length === 0) return decoded
  return Result.fail([...unknown, ...Result.isFailure(decoded) ? decoded.failure : []])
}

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

/** Rules of the policies of sessions. Those that are objects have a schema. */
const policies: ReadonlyArray<readonly [string, Rule]> = [
  ["allowCommand", aFunction],
  ["circuit", anything],
  ["credentials", aFunction],
  ["fallback", anything],
  ["onCleanup", aFunction],
  ["reconnect", retryPolicy],
  ["retry", retryPolicy]
]

/** Fails with every problem of the policies of sessions. `others` are the rules of what else is among the options. */
export const checkPolicies = (
  options: { readonly circuit?: CircuitPolicy | undefined; readonly fallback?: FallbackPolicy | undefined },
  others: { readonly [key: string]: Rule } = {}
): Effect.Effect<void, ConfigError> =>
  Effect.suspend(() => {
    const checked = checkBy(new Map([...policies, ...Object.entries(others)]), options)
    const problemsOf = (
      key: "circuit" | "fallback",
      schema: Schema.ConstraintDecoder<unknown> & { readonly fields: object }
    ) => {
      const value = options[key]
      return value === undefined ? [] : Result.match(decodeOptions({ schema, value, path: [key] }), {
        onSuccess: () => [],
        onFailure: (problems) => problems
      })
    }
    if (checked instanceof BadOptions && !isPlainObject(options)) return Effect.fail(checked.error)
    const problems = [
      ...checked instanceof BadOptions ? checked.error.problems : [],
      ...problemsOf("circuit", Circuit),
      ...problemsOf("fallback", Fallback)
    ]
    return problems.length === 0 ? Effect.void : failWith(problems)
  })
