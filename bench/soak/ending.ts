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
/** Fallback moves on only from calls that ran nothing. */
const isWithheld = Schema.is(Schema.Union([AllServersFailed, AcquireTimeout, ConfigError]))

const whatOf = ({ reason }: SessionError): string => {
  if (reason._tag === "OutcomeUnknown") return `${reason._tag} (${reason.lost._tag})`
  return reason._tag === "HttpFailed" ? `${reason._tag} ${reason.status}` : reason._tag
}

const untyped = (what: string): Ending => ({ what: what.slice(0, 300), delivery: "Untyped" })

export const of = (exit: Exit.Exit<unknown, unknown>, expected: string): Ending => {
  if (Exit.isSuccess(exit)) {
    return exit.value === expected ? { what: "answered", delivery: "Answered" } : untyped("the answer of another call")
  }
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (Cause.hasDies(exit.cause) || error === undefined) return untyped(Cause.pretty(exit.cause))
  if (isSessionError(error)) return { what: whatOf(error), delivery: error.delivery }
  return isWithheld(error) ? { what: error._tag, delivery: "NotSent" } : untyped(String(error))
}
