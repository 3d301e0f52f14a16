/**
 * Classifies how a call ended. Any failure that operations do not declare is untyped.
 */
import { ConfigError } from "@mcp-sessions/core/ConfigError"
import { AllServersFailed } from "@mcp-sessions/core/FallbackPolicy"
import { SessionError } from "@mcp-sessions/core/SessionError"
import { AcquireTimeout } from "@mcp-sessions/core/SessionPool"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Ending } from "./record.ts"

const isSessionError = Schema.is(SessionError)
const isAllServersFailed = Schema.is(AllServersFailed)
const isWithheld = Schema.is(Schema.Union([AcquireTimeout, ConfigError]))

const whatOf = ({ reason }: SessionError): string => {
  if (reason._tag === "OutcomeUnknown") return `${reason._tag} (${reason.lost._tag})`
  return reason._tag === "HttpFailed" ? `${reason._tag} ${reason.status}` : reason._tag
}

/** The refusals of the library itself, without a request. */
const withheld = new Set(["ServerDown", "QueueFull", "RateLimited"])

const untyped = (what: string): Ending => ({ what: what.slice(0, 300), delivery: "Untyped", wasAsked: true })

/** `wasAsked`: whether the operation got a session. */
export const of = (options: {
  readonly exit: Exit.Exit<unknown, unknown>
  readonly expected: string
  readonly wasAsked: boolean
}): Ending => {
  const { exit, expected, wasAsked } = options
  if (Exit.isSuccess(exit)) {
    return exit.value === expected
      ? { what: "answered", delivery: "Answered", wasAsked }
      : untyped("the answer of another call")
  }
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (Cause.hasDies(exit.cause) || error === undefined) return untyped(Cause.pretty(exit.cause))
  if (isSessionError(error)) {
    return { what: whatOf(error), delivery: error.delivery, wasAsked: !withheld.has(error.reason._tag) }
  }
  // Fallback moves on only from calls that ran nothing.
  if (isAllServersFailed(error)) return { what: error._tag, delivery: "NotSent", wasAsked }
  return isWithheld(error)
    ? { what: error._tag, delivery: "NotSent", wasAsked: false }
    : untyped(String(error))
}
