/**
 * The client that the official conformance suite drives: one scenario, through the session layer, on the URL given.
 *
 * Runs as `client.ts URL` with the scenario in `MCP_CONFORMANCE_SCENARIO` and the revision in
 * `MCP_CONFORMANCE_PROTOCOL_VERSION`.
 */
import { ClientHandlers, type Session, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Schema } from "effect"

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
  roots: () => Effect.succeed([{ uri: "file:///workspace", name: "workspace" }])
}

/** What the suite wants called, where the calls are its choice. */
const decodeContext = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  toolCalls: Schema.Array(
    Schema.Struct({ name: Schema.String, arguments: Schema.Record(Schema.String, Schema.Unknown) })
  )
})))

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
      case "json-schema-2020-12-preservation": {
        const focal = tools.find(({ name }) => name !== "json_schema_echo")
        yield* session.callTool("json_schema_echo", { schema: focal?.inputSchema })
        return
      }
      case "http-custom-headers": {
        const { toolCalls } = decodeContext(process.env.MCP_CONFORMANCE_CONTEXT)
        for (const call of toolCalls) yield* session.callTool(call.name, call.arguments)
        return
      }
      case "http-invalid-tool-headers":
        for (const { name } of tools) yield* session.callTool(name)
        return
      case "sep-2322-client-request-state":
        // One of its tools leaves `resultType` out, which the engine reports: what counts is that it is not called again.
        for (const { name } of tools) {
          yield* session.callTool(name).pipe(
            Effect.catchIf((error) => error.reason._tag === "InvalidResult", () => Effect.void)
          )
        }
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
