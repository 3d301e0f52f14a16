/**
 * Removes secrets from reasons: from their texts, from the data of a server, and from the chain of causes.
 *
 * **Details**
 *
 * A cause of the platform is replaced by a copy with the fields that say what happened. The original may refer to anything: the arguments
 * of a process, the headers of a request, a socket.
 */
import { Reason } from "@mcp-sessions/core/SessionError"
import * as Schema from "effect/Schema"
import { mark } from "./redactor.ts"

type Redact = (text: string) => string

/** How deep causes and data are followed. */
const depthLimit = 200

/** The fields of an error of the platform that say what happened. */
const shown = ["code", "errno", "syscall", "address", "hostname", "port", "status", "statusCode", "path", "issues"]

/** The fields of a reason that this package writes from a fixed set of words. */
const ours = new Set(["_tag", "delivery", "method", "signal"])

const isReason = Schema.is(Reason)

const isPlainObject = (value: object): value is Readonly<Record<string, unknown>> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Returns the same value if no text of it changes. */
const redactValue = (value: unknown, redact: Redact, depth = 0): unknown => {
  switch (typeof value) {
    case "string":
      return redact(value)
    case "number":
    case "bigint":
      return redact(String(value)) === String(value) ? value : mark
    case "object":
      break
    default:
      return typeof value === "function" ? undefined : value
  }
  if (value === null) return null
  if (depth > depthLimit) return mark
  const below = (value: unknown) => redactValue(value, redact, depth + 1)
  if (Array.isArray(value)) {
    const items = value.map(below)
    return items.every((item, index) => item === value[index]) ? value : items
  }
  if (isReason(value)) return redactReason(value, redact, depth + 1)
  if (value instanceof Error) return copyOf(value, redact, depth + 1)
  if (!isPlainObject(value)) return `[${value.constructor.name}]`
  const entries = Object.entries(value)
  const pairs = entries.map(([key, item]) => [redact(key), below(item)] as const)
  const isSame = pairs.every(([key, item], index) => key === entries[index]?.[0] && item === entries[index][1])
  return isSame ? value : Object.fromEntries(pairs)
}

/** Copies an error of the platform. */
const copyOf = (error: Error, redact: Redact, depth: number): Error => {
  const below = (value: unknown) => redactValue(value, redact, depth)
  const copy = new Error(redact(error.message))
  const hidden = (key: string, value: unknown) =>
    Object.defineProperty(copy, key, { value, enumerable: false, configurable: true, writable: true })
  hidden("name", redact(error.name))
  hidden("stack", redact(error.stack ?? ""))
  for (const key of shown) {
    if (key in error) Object.assign(copy, { [key]: below((error as unknown as Record<string, unknown>)[key]) })
  }
  if (error.cause !== undefined) hidden("cause", below(error.cause))
  if (error instanceof AggregateError) hidden("errors", below(error.errors))
  return copy
}

type ReasonFields = { readonly [key: string]: unknown }

interface ReasonClass<R> {
  new(fields: ReasonFields): R
  readonly fields: ReasonFields
}

/** Removes secrets from a reason. Returns the same reason if it holds none. */
export const redactReason = <R extends Reason>(reason: R, redact: Redact, depth = 0): R => {
  const ReasonClass = reason.constructor as unknown as ReasonClass<R>
  const fields = reason as unknown as ReasonFields
  const names = Object.keys(ReasonClass.fields).filter((name) => fields[name] !== undefined)
  const redacted = names.map((name): readonly [string, unknown] => {
    const value = fields[name]
    return [name, ours.has(name) || typeof value === "number" ? value : redactValue(value, redact, depth + 1)]
  })
  return redacted.every(([name, value]) => value === fields[name])
    ? reason
    : new ReasonClass(Object.fromEntries(redacted))
}

/** Removes secrets from text of a server that is data: its name, or what it says of itself. */
export const redactData = <A>(value: A, redact: Redact): A => redactValue(value, redact) as A
