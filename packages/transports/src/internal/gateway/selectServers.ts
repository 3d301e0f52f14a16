/**
 * Selects the servers that a gateway offers.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Effect from "effect/Effect"
import type { Permits } from "./client/waitingCalls.ts"

/** What is known of a server, as far as it decides on its part in a gateway. */
interface Status {
  readonly server: string
  readonly isDisabled: boolean
  readonly isStateless: boolean
  readonly maxInFlight: number
  readonly maxInFlightTotal: number
}

/** The servers that are offered, those of them that are stateless, and how many requests each takes at a time. */
interface Selected {
  readonly servers: ReadonlyArray<string>
  readonly stateless: ReadonlySet<string>
  readonly permits: ReadonlyMap<string, Permits>
}

/** Selects the servers. `selected` are the names of the option; `undefined`: all that are not disabled. */
export const selectServers = Effect.fnUntraced(function*(
  sessions: {
    readonly names: ReadonlyArray<string>
    readonly status: (server: string) => Effect.Effect<Status, ConfigError>
  },
  selected: ReadonlyArray<string> | undefined
): Effect.fn.Return<Selected, ConfigError> {
  const statuses = yield* selected === undefined
    ? Effect.map(
      Effect.forEach(sessions.names, (name) => Effect.option(sessions.status(name))),
      (statuses) => statuses.flatMap((status) => status._tag === "Some" ? [status.value] : [])
    )
    : Effect.forEach(selected, (name) => sessions.status(name))
  const enabled = statuses.filter(({ isDisabled }) => selected !== undefined || !isDisabled)
  return {
    servers: [...new Set(enabled.map(({ server }) => server))],
    permits: new Map(enabled.map((status) => [status.server, status])),
    stateless: new Set(enabled.flatMap(({ isStateless, server }) => isStateless ? [server] : []))
  }
})
