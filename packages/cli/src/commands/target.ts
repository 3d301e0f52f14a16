/**
 * Splits the word `server/tool`.
 */
import * as Effect from "effect/Effect"
import type { ConfiguredServer } from "../ConfigFiles.ts"
import { UsageError } from "../Failure.ts"
import { unknownServer } from "./root.ts"

/** Splits a target after the name of a configured server. Names may contain slashes, so the longest match wins. */
export const split = (
  ...[target, servers]: readonly [target: string, servers: ReadonlyArray<ConfiguredServer>]
): Effect.Effect<{ readonly server: string; readonly tool: string | undefined }, UsageError> => {
  const names = servers.map(({ name }) => name)
  const server = names
    .filter((name) => target === name || target.startsWith(`${name}/`))
    .toSorted((a, b) => b.length - a.length)[0]
  return server === undefined
    ? Effect.fail(new UsageError({ problems: [unknownServer(target.split("/", 1)[0] ?? target, names)] }))
    : Effect.succeed({ server, tool: target === server ? undefined : target.slice(server.length + 1) })
}
