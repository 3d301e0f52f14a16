/**
 * What the options of each operation must be. A table names every key of the type of its options, which the compiler checks.
 */
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { FallbackOptions } from "../../FallbackPolicy.ts"
import type { CallToolOptions, CompleteOptions, ListOptions, ProgressOptions } from "../../Session.ts"
import { duration, isPlainObject, optional, type Rule, type Rules, rulesOf } from "./callOptions.ts"

/** The rule of options that other code checks, or that may be anything. */
export const anything: Rule = { is: () => true, expected: "any value" }

export const aFunction: Rule = { is: optional(Predicate.isFunction), expected: "a function" }
const trueOrFalse: Rule = { is: optional(Predicate.isBoolean), expected: "true or false" }
const anObject: Rule = { is: optional(isPlainObject), expected: "an object" }

/** The rule of a retry policy. */
export const retryPolicy: Rule = { is: optional(Schedule.isSchedule), expected: "a retry policy" }

/** The rule of one of several names. */
export const oneOf = (...names: ReadonlyArray<string>): Rule => ({
  is: optional((value) => names.some((name) => name === value)),
  expected: names.map((name) => JSON.stringify(name)).join(" or ")
})

const isNames = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(Predicate.isString)

const isTask = (value: unknown): boolean => {
  if (!isPlainObject(value)) return false
  const { onTask, ttl } = value as { readonly onTask?: unknown; readonly ttl?: unknown }
  return (ttl === undefined || (Number.isFinite(ttl) && (ttl as number) >= 0)) && aFunction.is(onTask)
}

const task: Rule = {
  is: optional(isTask),
  expected: "an object with a \"ttl\" in milliseconds and a function \"onTask\", both optional",
  members: rulesOf<NonNullable<CallToolOptions["task"]>>({ onTask: anything, ttl: anything })
}

/** The rule of a text, such as the name of an owner. */
export const text: Rule = { is: optional(Predicate.isString), expected: "a string" }

const servers: Rule = { is: isNames, expected: "a list of one or more server names" }

/** The rule of how operations on several servers take the failure of one. */
export const mode = oneOf("strict", "best-effort")

/** Rules of operations that are run for an owner. */
export const ownerRules: Rules = rulesOf<{ owner: unknown }>({ owner: text })

/** Rules of `Sessions.open`. */
export const openRules: Rules = new Map([...ownerRules, ["handshake", oneOf("automatic", "manual")]])

/** Rules of `Sessions.openAll`. */
export const openAllRules: Rules = new Map([...ownerRules, ["mode", mode]])

/** Rules of a list. */
export const listRules: Rules = rulesOf<ListOptions>({ refresh: trueOrFalse, retry: retryPolicy, timeout: duration })

/** Rules of a completion. */
export const completeRules: Rules = rulesOf<CompleteOptions>({
  context: anObject,
  meta: anObject,
  retry: retryPolicy,
  timeout: duration
})

const requests = { meta: anObject, onProgress: aFunction, onSent: aFunction, retry: retryPolicy, timeout: duration }

/** Rules of a request that may take long. */
export const requestRules: Rules = rulesOf<ProgressOptions>(requests)

/** Rules of a tool call on a session. */
export const callRules: Rules = rulesOf<CallToolOptions>({
  ...requests,
  idempotent: trueOrFalse,
  schema: { is: optional(Schema.isSchema), expected: "a schema" },
  task
})

/** Rules of a tool call that takes a session of an owner. */
export const ownedCallRules: Rules = new Map([...callRules, ...ownerRules])

/** Rules of `Sessions.withFallback`. */
export const fallbackRules: Rules = rulesOf<FallbackOptions>({
  hedgeAfter: duration,
  order: aFunction,
  owner: text,
  retry: retryPolicy,
  servers
})

/** Rules of `Sessions.fallbackPlan`. */
export const planRules: Rules = rulesOf<Pick<FallbackOptions, "owner" | "retry" | "servers">>({
  owner: text,
  retry: retryPolicy,
  servers
})

/** Rules of what loads configuration files. */
export const loadRules: Rules = new Map<string, Rule>([
  ["files", { is: optional(isNames), expected: "a list of paths" }],
  ["input", aFunction],
  ["trust", {
    is: optional((value) => value === "all" || Predicate.isFunction(value)),
    expected: "\"all\" or a function"
  }]
])
