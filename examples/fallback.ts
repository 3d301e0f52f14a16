/**
 * Several servers for one purpose: a call goes to the first that works. A tool call that may have run goes to no other server.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Fallback, Mcp, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer } from "effect"

const live = Sessions.layer({
  servers: {
    primary: { command: "not-installed-here" },
    secondary: { command: "mcp-server-everything", args: ["stdio"] }
  }
}).pipe(Layer.provide(Transports.layer))

export const program = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const result = yield* Fallback.run(
    { servers: ["primary", "secondary"] },
    (session) => Effect.map(session.callTool("get-sum", { a: 2, b: 3 }), (sum) => [session.server, Mcp.text(sum)])
  )
  const { health } = yield* sessions.status("primary")
  return { result, primary: health.lastError?.message }
}).pipe(Effect.provide(live))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
