/**
 * Selects the servers that a gateway offers.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Effect from "effect/Effect"

/** What is known of a server, as far as it decides on its part in a gateway. */
interface Status {
  readonly server: string
  readonly isDisabled: boolean
  readonly isStateless: boolean
}

/** The servers that are offered, and those of them that are stateless. */
export const selectServers = Effect.fnUntraced(function*(
  sessions: {
    readonly names: ReadonlyArray<string>
    readonly status: (server: string) => Effect.Effect<Status, ConfigError>
  },
  selected: ReadonlyArray<string> | undefined
): Effect.fn.Return<{ readonly servers: ReadonlyArray<string>; readonly stateless: ReadonlySet<string> }, ConfigError> {
  const statuses = yield* selected === undefined
    ? Effect.map(
      Effect.forEach(sessions.names, (name) => Effect.option(sessions.status(name))),
      (statuses) => statuses.flatMap((status) => status._tag === "Some" ? [status.value] : [])
    )
    : Effect.forEach(selected, (name) => sessions.status(name))
  const enabled = statuses.filter(({ isDisabled }) => selected !== undefined || !isDisabled)
  return {
    servers: [...new Set(enabled.map(({ server }) => server))],
    stateless: new Set(enabled.flatMap(({ isStateless, server }) => isStateless ? [server] : []))
  }
})
