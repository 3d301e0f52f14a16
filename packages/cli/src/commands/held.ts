/**
 * Held sessions, for the commands that make no sense without them.
 */
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { type Held, HeldSessions } from "../HeldSessions.ts"
import { requireKnown } from "./selection.ts"

/** The held sessions of this directory. The command is not handed back to its caller after this. */
export const requireHeld: Effect.Effect<Held, UsageError> = Effect.flatMap(
  HeldSessions,
  (held) =>
    held === undefined
      ? Effect.fail(new UsageError({ problems: ["no sessions are held for this directory"], hint: "mcp-sessions up" }))
      : Effect.as(held.use([]), held)
)

/** Fails if a name is not the name of a server with a held session. */
export const requireHeldServers = Effect.fnUntraced(function*(
  { holder, servers }: Held,
  names: ReadonlyArray<string>
): Effect.fn.Return<void, UsageError> {
  yield* requireKnown(servers, names)
  const [first, ...rest] = names.filter((name) => !holder.servers.includes(name))
    .map((name) => `no session of server "${name}" is held; held: ${holder.servers.join(", ")}`)
  if (first !== undefined) return yield* new UsageError({ problems: [first, ...rest] })
})
