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
import { answered, type Ending } from "./Tally.ts"

const isSessionError = Schema.is(SessionError)
const isAllServersFailed = Schema.is(AllServersFailed)
const isAcquireTimeout = Schema.is(AcquireTimeout)
const isConfigError = Schema.is(ConfigError)

const whatOf = ({ reason }: SessionError): string => {
  const [, tag = ""] = /([^/]*)$/.exec(reason._tag) ?? []
  if (reason._tag === "OutcomeUnknown") return `${tag} (${reason.lost._tag})`
  return reason._tag === "HttpFailed" ? `${tag} ${reason.status}` : tag
}

/** The refusals of the library itself, without a request. */
const withheld = new Set(["ServerDown", "QueueFull", "RateLimited"])

const untyped = (what: string): Ending => ({ what, delivery: "Untyped", wasAsked: true })

/** `wasAsked`: whether the operation got a session. */
export const of = (options: {
  readonly exit: Exit.Exit<unknown, unknown>
  readonly expected: string
  readonly wasAsked: boolean
}): Ending => {
  const { exit, expected, wasAsked } = options
  if (Exit.isSuccess(exit)) return exit.value === expected ? answered : untyped("the answer of another call")
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (Cause.hasDies(exit.cause) || error === undefined) return untyped(Cause.pretty(exit.cause).slice(0, 300))
  if (isSessionError(error)) {
    const { delivery, reason } = error
    return { what: whatOf(error), delivery, wasAsked: !withheld.has(reason._tag) }
  }
  // Fallback moves on only from calls that ran nothing.
  if (isAllServersFailed(error)) return { what: "AllServersFailed", delivery: "NotSent", wasAsked }
  if (isAcquireTimeout(error)) return { what: "AcquireTimeout", delivery: "NotSent", wasAsked: false }
  if (isConfigError(error)) return { what: "ConfigError", delivery: "NotSent", wasAsked: false }
  return untyped(String(error).slice(0, 300))
}
