/**
 * Observed session: a session whose calls, reads and prompts are reported once they have ended.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { textOrEmpty } from "../textOrEmpty.ts"
import type { Call } from "./backend.ts"

/** Receives the calls. */
export type Observe = (call: Call) => void

/** The operations that are reported, and the methods behind them. */
const observed: ReadonlyMap<PropertyKey, string> = new Map([
  ["callTool", "tools/call"],
  ["readResource", "resources/read"],
  ["getPrompt", "prompts/get"]
])

const nameLimit = 256

const outcomeOf = (
  exit: Exit.Exit<unknown, SessionError | ConfigError>
): Pick<Call, "delivery" | "outcome" | "reason"> => {
  if (Exit.isSuccess(exit)) {
    const isError = Predicate.isObject(exit.value) && "isError" in exit.value && exit.value.isError === true
    return { outcome: isError ? "ToolError" : "Succeeded", delivery: "Answered", reason: undefined }
  }
  const failure = Exit.findErrorOption(exit)
  if (failure._tag === "None") {
    return {
      outcome: Cause.hasInterruptsOnly(exit.cause) ? "Cancelled" : "Failed",
      delivery: "Unknown",
      reason: undefined
    }
  }
  const error = failure.value
  return error._tag === "SessionError"
    ? { outcome: "Failed", delivery: error.delivery, reason: error.reason._tag }
    : { outcome: "Failed", delivery: "NotSent", reason: error._tag }
}

/** Reports how an operation ended. */
const report = <A>(
  operation: Effect.Effect<A, SessionError | ConfigError>,
  { observe, ...what }: Pick<Call, "method" | "name" | "server"> & { readonly observe: Observe }
): Effect.Effect<A, SessionError | ConfigError> =>
  Effect.flatMap(
    Clock.monotonicTimeNanos,
    (start) =>
      Effect.onExit(operation, (exit) =>
        Effect.map(Clock.monotonicTimeNanos, (now) =>
          observe({
            principal: "",
            client: "",
            ...what,
            ...outcomeOf(exit),
            duration: Math.round(Number(now - start) / 1e6)
          })))
  )

/** Returns a session that reports its operations, and else is the session. */
export const observedSession = (session: Session, observe: Observe): Session =>
  new Proxy(session, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== "function") return value
      const method = observed.get(key)
      if (method === undefined) return value.bind(target)
      return (name: string, ...rest: ReadonlyArray<unknown>) =>
        report(Reflect.apply(value, target, [name, ...rest]), {
          observe,
          method,
          name: textOrEmpty(name).slice(0, nameLimit),
          server: target.server
        })
    }
  })
