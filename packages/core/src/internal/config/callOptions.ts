/**
 * Checks options by rules before anything is taken or sent: reports all problems at once, unknown keys too, and makes milliseconds of durations.
 *
 * Every call runs this, so a sound object of options costs a look at each of its keys, and is returned as it is.
 */
import * as Predicate from "effect/Predicate"
import { ConfigError, type ConfigProblem, InvalidDuration, InvalidValue, UnknownKey } from "../../ConfigError.ts"
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
  /** The keys of the value, where it is an object. Default: any. */
  readonly members?: Rules
}

/** The rule of each key. Any other key is unknown. */
export type Rules = ReadonlyMap<string, Rule>

/** Makes the rules of options of a type, one for each of its keys. */
export const rulesOf = <O>(rules: { readonly [K in keyof Required<O>]: Rule }): Rules =>
  new Map(Object.entries<Rule>(rules))

export const optional = (is: Rule["is"]): Rule["is"] => (value) => value === undefined || is(value)

export const isPlainObject = (value: unknown): boolean => Predicate.isObject(value) && !Array.isArray(value)

/** The rule of options that hold a duration, which become milliseconds. */
export const duration: Rule = {
  is: optional((value) => millisOf(value) !== undefined),
  expected: "a duration"
}

/** Whether a value is what its key wants. `undefined` is no option, so that programs may leave unknown keys open. */
const isGood = (rule: Rule | undefined, value: unknown): boolean => {
  if (rule === undefined) return value === undefined
  if (!rule.is(value)) return false
  if (rule.members === undefined || !isPlainObject(value)) return true
  for (const key in value as object) {
    if (!isGood(rule.members.get(key), (value as Readonly<Record<string, unknown>>)[key])) return false
  }
  return true
}

const keysOf = (options: object): ReadonlyArray<string> => {
  const keys = []
  for (const key in options) keys.push(key)
  return keys
}

interface Place {
  readonly server: string | undefined
  readonly path: ReadonlyArray<string>
}

/** The problems of options: of unknown keys, of values, and of the members of values. */
const problemsOf = (
  options: Readonly<Record<string, unknown>>,
  { keys, path, rules, server }: Place & { readonly keys: Iterable<string>; readonly rules: Rules }
): ReadonlyArray<ConfigProblem> =>
  Array.from(keys).flatMap((key): ReadonlyArray<ConfigProblem> => {
    const rule = rules.get(key)
    const value = options[key]
    const at = { server, path: [...path, key] }
    if (rule === undefined) {
      return value === undefined ? [] : [new UnknownKey({ ...at, key, validNames: Array.from(rules.keys()) })]
    }
    const inside = rule.members === undefined || !isPlainObject(value)
      ? []
      : problemsOf(value as Readonly<Record<string, unknown>>, {
        ...at,
        keys: keysOf(value as object),
        rules: rule.members
      })
    if (inside.length > 0) return inside
    const problem = { ...at, expected: rule.expected }
    if (rule.is(value)) return []
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

/** Checks options that a caller may leave out. */
export const checkCall = <O extends object>(
  rules: Rules,
  options: O | undefined,
  server: string | undefined
): Checked<O> | BadOptions | undefined => options === undefined ? undefined : checkBy(rules, options, { server })

/**
 * Checks options. Returns them with durations in milliseconds, or every problem of them. `path` leads to the options, and `required` are the
 * options that must be there.
 */
export const checkBy = <O extends object>(
  rules: Rules,
  options: O,
  { path = [], required = [], server }: {
    readonly server?: string | undefined
    readonly path?: ReadonlyArray<string> | undefined
    readonly required?: ReadonlyArray<string> | undefined
  } = {}
): Checked<O> | BadOptions => {
  if (!isPlainObject(options)) return new BadOptions([], server)
  const given = options as Readonly<Record<string, unknown>>
  let isSound = true
  let hasOnlyMillis = true
  for (const key in given) {
    const rule = rules.get(key)
    const value = given[key]
    if (!isGood(rule, value)) isSound = false
    else if (rule === duration && value !== undefined) hasOnlyMillis &&= millisOf(value) === value
  }
  for (const key of required) isSound &&= key in given
  if (isSound) return (hasOnlyMillis ? given : withMillis(given, rules)) as Checked<O>
  const keys = new Set([...required, ...keysOf(given)])
  return new BadOptions(problemsOf(given, { keys, path, rules, server }), server)
}

/** The options of a call that are left for a session, which has an owner. */
export const withoutOwner = <O extends { readonly owner?: string | undefined }>(
  options: O | undefined
): Omit<O, "owner"> | undefined => {
  if (options?.owner === undefined) return options
  const { owner: _, ...rest } = options
  return rest
}
