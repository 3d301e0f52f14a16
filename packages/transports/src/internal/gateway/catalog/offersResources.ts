/**
 * Which servers have their resources and templates offered.
 */
import { ConfigError, UnknownServer } from "@mcp-sessions/core/ConfigError"
import * as Effect from "effect/Effect"

/** Reads the names of the servers whose resources are offered; `undefined` stands for all. Fails if one of them is not served. */
export const offersResources = ({ resources, servers }: {
  readonly servers: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string> | undefined
}): Effect.Effect<(server: string) => boolean, ConfigError> => {
  const unknown = (resources ?? []).filter((server) => !servers.includes(server))
  const [first, ...rest] = unknown.map((server) =>
    new UnknownServer({ server, path: ["resources"], validNames: servers })
  )
  return first === undefined
    ? Effect.succeed((server) => resources?.includes(server) ?? true)
    : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
}
