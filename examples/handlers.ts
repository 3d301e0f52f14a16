/**
 * Servers that ask: for the answer of a language model (sampling), and for a form that the user fills in (elicitation).
 */
import { NodeRuntime } from "@effect/platform-node"
import { ClientHandlers, Mcp, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer } from "effect"

const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
  sampling: ({ messages }) =>
    Effect.succeed({
      role: "assistant",
      model: "a model of this program",
      content: { type: "text", text: `an answer to ${messages.length} message` }
    }),
  elicitation: {
    // `call` is the tool call because of which the server asks.
    form: ({ message }, { call, server }) =>
      Effect.as(
        Effect.logInfo(`${server} asks because of ${call?.tool}: ${message}`),
        { action: "accept", content: { name: "Ada" } }
      )
  }
})

const live = Sessions.layer({
  servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
}).pipe(Layer.provide(Layer.merge(Transports.layer, handlers)))

export const program = Effect.gen(function*() {
  const { callTool } = yield* Sessions.Sessions
  const sampled = yield* callTool("everything", "trigger-sampling-request", { prompt: "hello" })
  const asked = yield* callTool("everything", "trigger-elicitation-request")
  return { sampled: Mcp.text(sampled), asked: Mcp.text(asked) }
}).pipe(Effect.provide(live))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
