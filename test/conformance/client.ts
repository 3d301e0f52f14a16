/**
 * The client that the official conformance suite drives: one scenario, through the session layer, on the URL given.
 *
 * Runs as `client.ts URL` with the scenario in `MCP_CONFORMANCE_SCENARIO` and the revision in
 * `MCP_CONFORMANCE_PROTOCOL_VERSION`.
 */
import { ClientHandlers, type Session, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"

const [, , url = ""] = process.argv
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? ""
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? ""

const handlers: ClientHandlers.Handlers = {
  sampling: () =>
    Effect.succeed({ model: "none", role: "assistant" as const, content: { type: "text" as const, text: "sampled" } }),
  elicitation: {
    form: () => Effect.succeed({ action: "accept" as const, content: {} }),
    url: () => Effect.succeed({ action: "decline" as const })
  },
  roots: Effect.succeed([{ uri: "file:///workspace", name: "workspace" }])
}

const run = (session: Session.Session) =>
  Effect.gen(function*() {
    const tools = yield* session.listTools()
    switch (scenario) {
      case "tools_call":
        yield* session.callTool("add_numbers", { a: 5, b: 3 })
        return
      case "elicitation-sep1034-client-defaults":
        yield* session.callTool("test_client_elicitation_defaults")
        return
      case "sse-retry":
        yield* session.callTool("test_reconnection")
        return
      case "http-standard-headers": {
        for (const { name } of tools) yield* session.callTool(name)
        for (const { uri } of yield* session.listResources()) yield* session.readResource(uri)
        for (const { name } of yield* session.listPrompts()) yield* session.getPrompt(name)
      }
    }
  })

const layer = Sessions.layer({
  servers: {
    conformance: {
      transport: "streamable_http",
      url,
      protocol: revision >= "2026-07-28" ? "auto" : "legacy"
    }
  }
}).pipe(Layer.provide(Layer.merge(Transports.layer, Layer.succeed(ClientHandlers.ClientHandlers, handlers))))

await Effect.flatMap(Sessions.Sessions, (sessions) => sessions.use("conformance", run)).pipe(
  Effect.provide(layer),
  Effect.runPromise
)
