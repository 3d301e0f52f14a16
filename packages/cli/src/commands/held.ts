/**
 * Held sessions, for the commands that make no sense without them.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Effect from "effect/Effect"
import type { ConfiguredServer } from "../Configured.ts"
import { UsageError } from "../Failure.ts"
import { type Held, HeldSessions } from "../HeldSessions.ts"
import { findServers } from "./selection.ts"

/** The held sessions of this directory. The command is not handed back to its caller after this. `hint` helps where none are held. */
export const requireHeld = (hint?: string): Effect.Effect<Held, UsageError> =>
  Effect.flatMap(
    HeldSessions,
    (held) =>
      held === undefined
        ? Effect.fail(new UsageError({ problems: ["no sessions are held for this directory"], hint }))
        : Effect.as(held.use([]), held)
  )

/** Finds servers by name. Fails unless all of them have a held session. */
export const requireHeldServers = Effect.fnUntraced(function*(
  { configured, holder }: Held,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ConfiguredServer>, UsageError | ConfigError> {
  const servers = yield* findServers(configured, names)
  const [first, ...rest] = servers.filter(({ name }) => !holder.servers.includes(name))
    .map(({ name }) => `no session of server "${name}" is held; held: ${holder.servers.join(", ")}`)
  return first === undefined ? servers : yield* new UsageError({ problems: [first, ...rest] })
})
