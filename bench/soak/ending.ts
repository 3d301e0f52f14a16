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

const isDelivery = Schema.is(Schema.Literals(["NotSent", "Rejected", "Unknown"]))

/** The code of the errors in which a gateway says that a call got no response. */
const noResponse = -32_010

/** As {@link of}, for a call through a gateway: its errors say in their data what became of the call. */
export const ofGateway = (exit: Exit.Exit<unknown, unknown>, expected: string): Ending => {
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (!isSessionError(error) || error.reason._tag !== "ProtocolFailed" || error.reason.code !== noResponse) {
    return of(exit, expected)
  }
  const { delivery, reason } = error.reason.data as { readonly delivery?: unknown; readonly reason?: unknown }
  return isDelivery(delivery)
    ? { what: `gateway: ${String(reason)}`, delivery }
    : untyped(`an error of the gateway without delivery: ${error.message}`)
}
