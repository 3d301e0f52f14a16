/**
 * One server: start it, list its tools, call one. The process ends with the scope.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Mcp, Session } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect } from "effect"

export const program = Effect.gen(function*() {
  const session = yield* Session.make({ command: "mcp-server-everything", args: ["stdio"] })
  const tools = yield* session.listTools()
  const result = yield* session.callTool("get-sum", { a: 2, b: 3 })
  return { tools: tools.map(({ name }) => name), answer: Mcp.text(result) }
}).pipe(Effect.scoped, Effect.provide(Transports.layer))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
