/**
 * Hides what may be secret in an entry as it is written, for display. References to variables stay: they are no secrets.
 */
import * as Predicate from "effect/Predicate"

const mark = "<redacted>"

/** Keys whose texts are secrets, with all that is below them. */
const secretKeys: ReadonlySet<string> = new Set([
  "bearer_token",
  "client_secret",
  "clientSecret",
  "env",
  "environment",
  "envs",
  "headers",
  "http_headers",
  "key",
  "privateKey"
])

const isReference = (text: string): boolean => /^(?:Bearer )?\$?\{[^{}]*\}$/.test(text)

const secretWord = /api-?_?key|token|secret|passw|auth|credential/i

/** Hides the credentials and the values in the query of a URL. */
const hiddenUrl = (text: string): string =>
  text.replace(/^([a-z][a-z\d+.-]*:\/\/)[^/?#@]*@/i, `$1${mark}@`).replace(/([?#])[\s\S]+$/, `$1${mark}`)

/** Hides arguments that look like secrets: values of flags such as `--api-key`, and URLs with credentials. */
export const hiddenArguments = (args: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  args.map((arg, index) => {
    if (typeof arg !== "string") return arg
    const before = args[index - 1]
    const isValue = typeof before === "string" && before.startsWith("-") && !before.includes("=") &&
      secretWord.test(before)
    if (isValue && !arg.startsWith("-")) return isReference(arg) ? arg : mark
    const [, flag, value] = /^(-{0,2}[\w-]+=)([\s\S]+)$/.exec(arg) ?? []
    if (flag !== undefined && value !== undefined && secretWord.test(flag) && !isReference(value)) return flag + mark
    return /^[a-z][a-z\d+.-]*:\/\//i.test(arg) ? hiddenUrl(arg) : arg
  })

/** Hides what may be secret in a value. */
export const hidden = (value: unknown, isSecret = false): unknown => {
  if (typeof value === "string") {
    if (isSecret) return isReference(value) ? value : mark
    return /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? hiddenUrl(value) : value
  }
  if (Array.isArray(value)) {
    return isSecret ? value.map((item) => hidden(item, true)) : hiddenArguments(value.map((item) => hidden(item)))
  }
  if (!Predicate.isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, hidden(item, isSecret || secretKeys.has(key))])
  )
}
