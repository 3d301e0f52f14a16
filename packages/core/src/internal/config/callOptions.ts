/**
 * Options of single calls: checked before anything is taken or sent, with all problems at once, and durations in milliseconds.
 *
 * Every call runs this, so a sound object of options costs a look at each of its keys, and is returned as it is.
 */
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { ConfigError, type ConfigProblem, InvalidDuration, InvalidValue } from "../../ConfigError.ts"
import { millisOf } from "./values.ts"

/** Options that were checked. */
export type Checked<O> = {
  readonly [K in keyof O]: K extends DurationKey ? number | undefined : O[K]
}

type DurationKey = "hedgeAfter" | "timeout"

/** What the value of an option must be. */
export interface Rule {
  readonly is: (value: unknown) => boolean
  readonly expected: string
}

export type Rules = ReadonlyMap<string, Rule>

export const optional = (is: Rule["is"]): Rule["is"] => (value) => value === undefined || is(value)

export const isPlainObject = (value: unknown): boolean => Predicate.isObject(value) && !Array.isArray(value)

export const aFunction: Rule = { is: optional(Predicate.isFunction), expected: "a function" }
const trueOrFalse: Rule = { is: optional(Predicate.isBoolean), expected: "true or false" }
const anObject: Rule = { is: optional(isPlainObject), expected: "an object" }
const duration: Rule = {
  is: optional((value) => millisOf(value) !== undefined),
  expected: "a duration"
}

const isTask = (value: unknown): boolean => {
  if (!isPlainObject(value)) return false
  const { onTask, ttl } = value as { readonly onTask?: unknown; readonly ttl?: unknown }
  return (ttl === undefined || (Number.isFinite(ttl) && (ttl as number) >= 0)) && aFunction.is(onTask)
}

const isNames = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(Predicate.isString)

/** The rules of the options of calls. */
export const callRules: Rules = new Map(Object.entries<Rule>({
  context: anObject,
  handshake: {
    is: optional((value) => value === "automatic" || value === "manual"),
    expected: "\"automatic\" or \"manual\""
  },
  hedgeAfter: duration,
  idempotent: trueOrFalse,
  meta: anObject,
  mode: {
    is: optional((value) => value === "strict" || value === "best-effort"),
    expected: "\"strict\" or \"best-effort\""
  },
  onProgress: aFunction,
  onSent: aFunction,
  order: aFunction,
  owner: { is: optional(Predicate.isString), expected: "a string" },
  refresh: trueOrFalse,
  retry: { is: optional(Schedule.isSchedule), expected: "a retry policy" },
  schema: { is: optional(Schema.isSchema), expected: "a schema" },
  servers: { is: isNames, expected: "a list of one or more server names" },
  task: {
    is: optional(isTask),
    expected: "an object with a \"ttl\" in milliseconds and a function \"onTask\", both optional"
  },
  timeout: duration
}))

const problemsOf = (
  options: Readonly<Record<string, unknown>>,
  keys: Iterable<string>,
  rules: Rules,
  server: string | undefined
): ReadonlyArray<ConfigProblem> =>
  Array.from(keys).flatMap((key) => {
    const rule = rules.get(key)
    if (rule === undefined || rule.is(options[key])) return []
    const problem = { server, path: [key], expected: rule.expected }
    return [rule === duration ? new InvalidDuration(problem) : new InvalidValue(problem)]
  })

const withMillis = (options: Readonly<Record<string, unknown>>, rules: Rules): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(options).map(([key, value]) => [
      key,
      rules.get(key) === duration && value !== undefined ? millisOf(value) : value
    ])
  )

/** Options that are not what they must be. No error itself, so that a check of sound options allocates nothing. */
export class BadOptions {
  readonly error: ConfigError

  constructor([first, ...rest]: ReadonlyArray<ConfigProblem>, server: string | undefined) {
    const problem = first ?? new InvalidValue({ server, path: ["options"], expected: "an object of options" })
    this.error = new ConfigError({ problems: [problem, ...rest] })
  }
}

/** Checks the options of a call. Returns them with durations in milliseconds, or every problem of them. */
export const checkCall = <O extends object>(
  options: O | undefined,
  server: string | undefined
): Checked<O> | BadOptions | undefined => options === undefined ? undefined : checkBy(callRules, options, server)

/** As `checkCall`, by given rules. `required` are the options that must be there. */
export const checkBy = <O extends object>(
  rules: Rules,
  options: O,
  server?: string,
  required: ReadonlyArray<string> = []
): Checked<O> | BadOptions => {
  if (!isPlainObject(options)) return new BadOptions([], server)
  const given = options as Readonly<Record<string, unknown>>
  let isSound = true
  let hasOnlyMillis = true
  for (const key in given) {
    const rule = rules.get(key)
    if (rule?.is(given[key]) === false) isSound = false
    else if (rule === duration && given[key] !== undefined) hasOnlyMillis &&= millisOf(given[key]) === given[key]
  }
  for (const key of required) isSound &&= key in given
  if (isSound) return (hasOnlyMillis ? given : withMillis(given, rules)) as Checked<O>
  return new BadOptions(problemsOf(given, new Set([...required, ...Object.keys(given)]), rules, server), server)
}
