/**
 * `restart`: replaces the connection of a held session.
 */
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { requireHeld, requireHeldServers } from "./held.ts"
import { root, timeout } from "./root.ts"
import { withSessions, withTimeLimit } from "./sessions.ts"

export const restart = Command.make("restart", {
  server: Argument.String("server").pipe(Argument.withDescription("Server to connect to anew")),
  timeout: timeout("Time limit for connecting")
}, ({ server: target, timeout }) =>
  Effect.gen(function*() {
    const { note, printJson } = yield* Output
    const { json } = yield* root
    const held = yield* requireHeld("mcp-sessions up")
    const servers = yield* requireHeldServers(held, [target])
    const server = servers[0]?.name ?? target
    const { generation } = yield* Effect.gen(function*() {
      const sessions = yield* Sessions
      yield* sessions.restart(server)
      return yield* Effect.flatMap(sessions.get(server), ({ connect }) => connect)
    }).pipe(
      withTimeLimit({ server, limit: timeout }),
      Effect.scoped,
      withSessions({ servers, limit: timeout, retry: RetryPolicy.never })
    )
    if (json) yield* printJson({ schema: "mcp-sessions/1", name: server, generation })
    else yield* note(line`restarted ${server}`)
  })).pipe(Command.withDescription("Close the connection of a held session and connect to its server anew"))
