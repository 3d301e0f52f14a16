/**
 * Checks one server: connects, pings it and lists its tools. Each step runs once, without retries.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { HealthReport } from "@mcp-sessions/core/Health"
import type { SessionInfo } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ConfiguredServer } from "./Configured.ts"
import { envelope } from "./FailureText.ts"
import type { Invocation } from "./Invocation.ts"
import * as ToolNames from "./ToolNames.ts"

/**
 * Result of the check of one server. Times are in milliseconds, `lastChecked` since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly name: string
  readonly source: string
  readonly transport: string
  readonly state: "healthy" | "unhealthy" | "disabled" | "auth_required" | "timed_out"
  readonly isHealthy: boolean
  readonly lastChecked: number | undefined
  readonly errorCount: number
  readonly latency: { readonly connect: number; readonly ping: number; readonly list: number } | undefined
  readonly info: SessionInfo | undefined
  readonly tools: number | undefined
  readonly error: SessionError | ConfigError | undefined
}

const stateOf = (error: SessionError | ConfigError): Row["state"] => {
  switch (error._tag === "ConfigError" ? undefined : error.reason._tag) {
    case "AuthRequired":
      return "auth_required"
    case "ConnectTimeout":
    case "RequestTimeout":
      return "timed_out"
    default:
      return "unhealthy"
  }
}

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = yield* Clock.monotonicTimeNanos
    const value = yield* effect
    return { value, millis: Math.round(Number((yield* Clock.monotonicTimeNanos) - start) / 1e6) }
  })

/**
 * The row of a disabled server, which is not checked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const disabled = ({ name, source, transport }: ConfiguredServer): Row => ({
  name,
  source,
  transport: transport ?? "",
  state: "disabled",
  isHealthy: false,
  lastChecked: undefined,
  errorCount: 0,
  latency: undefined,
  info: undefined,
  tools: undefined,
  error: undefined
})

/**
 * Checks one server. A failure is part of the result.
 *
 * @category checks
 * @since 0.1.0
 */
export const check = Effect.fnUntraced(
  function*(server: ConfiguredServer): Effect.fn.Return<Row, never, Sessions | Invocation> {
    const sessions = yield* Sessions
    const { definition, name } = server
    if (Result.isFailure(definition)) {
      return { ...disabled(server), state: server.isDisabled ? "disabled" : "unhealthy", error: definition.failure }
    }
    const row = ({ errorCount, lastChecked }: HealthReport): Row => ({ ...disabled(server), lastChecked, errorCount })
    const measured = Effect.gen(function*() {
      const connect = yield* timed(sessions.get(name))
      const session = connect.value
      const ping = yield* timed(session.ping)
      const list = yield* timed(session.listTools())
      yield* ToolNames.remember(server, list.value)
      return {
        info: yield* session.connect,
        tools: list.value.length,
        latency: { connect: connect.millis, ping: ping.millis, list: list.millis }
      }
    }).pipe(Effect.scoped)
    const health = Effect.orDie(Effect.map(sessions.status(name), ({ health }) => health))
    return yield* Effect.matchEffect(measured, {
      onSuccess: (found) =>
        Effect.map(health, (health): Row => ({ ...row(health), ...found, state: "healthy", isHealthy: true })),
      onFailure: (error) => Effect.map(health, (health): Row => ({ ...row(health), state: stateOf(error), error }))
    })
  }
)

/**
 * Converts a row to the JSON that `check --json` prints.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toJson = (row: Row): Record<string, unknown> => ({
  name: row.name,
  source: row.source,
  transport: row.transport,
  state: row.state,
  isHealthy: row.isHealthy,
  lastChecked: row.lastChecked ?? null,
  latencyMs: row.latency ?? null,
  errorCount: row.errorCount,
  lastError: row.error === undefined ? null : envelope(row.error),
  protocolVersion: row.info?.protocolVersion ?? null,
  era: row.info?.era ?? null,
  serverInfo: row.info?.implementation ?? null,
  tools: row.tools ?? null,
  warnings: row.info?.warnings ?? [],
  ...(row.info?.pid === undefined ? {} : { pid: row.info.pid })
})
