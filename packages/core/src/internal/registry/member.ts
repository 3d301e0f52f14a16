/**
 * Member: one server of a registry, with what all its owners share.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import * as outlierDetection from "../fallback/outlierDetection.ts"
import { Bulkhead } from "../server/bulkhead.ts"
import type { CircuitBreaker, CircuitHost } from "../server/circuitBreaker.ts"
import { EjectableBreaker } from "../server/ejectableBreaker.ts"
import type { RateLimit } from "../server/rateLimit.ts"
import { ServerState } from "../server/serverState.ts"
import type { SessionCore } from "../session/sessionCore.ts"
import { telemetryOf } from "../telemetry/serverTelemetry.ts"
import { logChange } from "../telemetry/stateLog.ts"

/** One server of the registry. */
export interface Member {
  readonly server: string
  readonly definition: ServerDefinition
  readonly state: ServerState
  readonly outliers: outlierDetection.OutlierDetector
  /** The circuit breaker of the state, which the program can hold open. */
  readonly breaker: EjectableBreaker
  /** The context of the registry. */
  readonly context: Context.Context<never>
  /** The session cores of all owners. */
  readonly cores: Set<SessionCore>
}

/** Makes a member whose background work ends with the scope. */
export const makeMember = Effect.fnUntraced(function*(options: {
  readonly definition: ServerDefinition
  readonly reconnect: RetryPolicy
  readonly fallback: FallbackPolicy
  readonly circuitOf: (server: string, host: CircuitHost) => CircuitBreaker
  readonly rateLimitOf: (definition: ServerDefinition) => RateLimit
  readonly context: Context.Context<never>
  readonly scope: Scope.Scope
}): Effect.fn.Return<Member, never, Scope.Scope> {
  const { circuitOf, context, definition, fallback, rateLimitOf, reconnect, scope } = options
  const { config, name: server } = definition
  const cores = new Set<SessionCore>()
  const telemetry = telemetryOf(server, context)
  const bulkhead = new Bulkhead(config.maxInFlightTotal)
  yield* telemetry.measure("inFlight", () => bulkhead.used)
  const breaker: EjectableBreaker = new EjectableBreaker(
    server,
    circuitOf(server, {
      onChange: (isOpen) => {
        telemetry.count(isOpen ? "circuitOpens" : "circuitCloses")
        logChange({ context, server, change: isOpen ? "circuitOpened" : "circuitClosed" })
        state.changed()
      },
      candidates: () => cores,
      fork: (effect) => Fiber.runIn(Effect.runForkWith(context)(effect), scope)
    })
  )
  const state: ServerState = new ServerState({
    circuitBreaker: breaker,
    bulkhead,
    rateLimit: rateLimitOf(definition),
    telemetry
  })
  yield* telemetry.measure("openCircuits", () => state.circuitBreaker.isOpen() ? 1 : 0)
  const outliers = outlierDetection.make({
    policy: fallback,
    reconnect,
    scope,
    context,
    onChange: (isEjected) => {
      telemetry.count(isEjected ? "ejections" : "readmissions")
      logChange({ context, server, change: isEjected ? "ejected" : "readmitted" })
    }
  })
  return { server, definition, state, outliers, breaker, context, cores }
})
