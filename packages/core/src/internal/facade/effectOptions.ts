/**
 * Options of calls in promises: checks them, and makes options for effects of them.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as RetryPolicy from "../../RetryPolicy.ts"
import {
  BadOptions,
  checkBy,
  type Checked,
  isPlainObject,
  optional,
  type Rule,
  type Rules,
  rulesOf
} from "../config/callOptions.ts"
import * as effectRules from "../config/optionRules.ts"
import { millisOf } from "../config/values.ts"
import type { RetryOptions, SignalOptions } from "./promised.ts"

const isRetry = (value: unknown): boolean => {
  if (!isPlainObject(value)) return false
  const { delay, times } = value as { readonly delay?: unknown; readonly times?: unknown }
  const isCount = times === Number.POSITIVE_INFINITY || (Number.isInteger(times) && (times as number) >= 0)
  return isCount && millisOf(delay) !== undefined
}

/** The rule of a retry policy in numbers. */
export const retryNumbers: Rule = {
  is: optional(isRetry),
  expected: "an object of \"times\", a whole number or Infinity, and \"delay\", a duration",
  members: rulesOf<RetryOptions>({ delay: effectRules.anything, times: effectRules.anything })
}

const isSignal = (value: unknown): boolean => {
  if (!isPlainObject(value)) return false
  const { aborted, addEventListener, removeEventListener } = value as { readonly [key: string]: unknown }
  return typeof aborted === "boolean" && typeof addEventListener === "function" &&
    typeof removeEventListener === "function"
}

const isStandardSchema = (value: unknown): boolean => {
  const standard = Predicate.hasProperty(value, "~standard") ? value["~standard"] : undefined
  return Predicate.hasProperty(standard, "validate") && typeof standard.validate === "function"
}

/** What options mean in promises, where that differs. */
const plainRules: Rules = new Map<string, Rule>([
  ["retry", retryNumbers],
  ["schema", { is: optional(isStandardSchema), expected: "a Standard Schema" }]
])

const signal: Rule = { is: optional(isSignal), expected: "an AbortSignal" }

/** The rules of options in promises for those of the operation in effects. */
export const plain = (rules: Rules): Rules =>
  new Map([...Array.from(rules, ([key, rule]) => [key, plainRules.get(key) ?? rule] as const), ["signal", signal]])

/** The rules of options in promises, by operation. */
export const rules = {
  signal: plain(new Map()),
  owner: plain(effectRules.ownerRules),
  open: plain(effectRules.openRules),
  list: plain(effectRules.listRules),
  complete: plain(effectRules.completeRules),
  request: plain(effectRules.requestRules),
  call: plain(effectRules.callRules),
  ownedCall: plain(effectRules.ownedCallRules),
  fallback: plain(effectRules.fallbackRules)
} as const

/** Makes a policy of numbers. */
export const retryPolicyOf = ({ delay, times }: RetryOptions): RetryPolicy.RetryPolicy =>
  RetryPolicy.spaced({ retries: times, delay: millisOf(delay) ?? 0 })

/** Lets a handler return a promise that is waited for. */
const handlerOf = <P>(handle: (value: P) => unknown) => (value: P): Effect.Effect<void> | void => {
  const handled = handle(value)
  return Predicate.isPromiseLike(handled) ? Effect.promise(() => Promise.resolve(handled).then(() => {})) : undefined
}

/** The options of promises that mean something else to effects. */
interface GivenOptions extends SignalOptions {
  readonly retry?: RetryOptions | undefined
  readonly onProgress?: ((progress: unknown) => unknown) | undefined
  readonly task?: { readonly onTask?: ((task: unknown) => unknown) | undefined } | undefined
}

/**
 * Makes options for effects, or returns every problem of those given. Most options pass through as they are, without their signal. `required`
 * are the options that must be there.
 */
export const effectOptions = <O extends object>({ options, required, rules, server }: {
  readonly rules: Rules
  readonly options: SignalOptions | undefined
  readonly server: string | undefined
  readonly required?: ReadonlyArray<string> | undefined
}): Checked<O> | BadOptions | undefined => {
  if (options === undefined && required === undefined) return undefined
  const checked = checkBy<object>(rules, options as object, { server, required })
  if (checked instanceof BadOptions) return checked
  const { onProgress, retry, signal, task } = checked as GivenOptions
  if (signal === undefined && retry === undefined && onProgress === undefined && task?.onTask === undefined) {
    return checked as Checked<O>
  }
  return {
    ...checked,
    signal: undefined,
    ...(retry === undefined ? {} : { retry: retryPolicyOf(retry) }),
    ...(onProgress === undefined ? {} : { onProgress: handlerOf(onProgress) }),
    ...(task?.onTask === undefined ? {} : { task: { ...task, onTask: handlerOf(task.onTask) } })
  } as unknown as Checked<O>
}
