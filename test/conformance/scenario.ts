/**
 * What the official conformance suite asks of a client: one scenario at a time, through the session layer.
 */
import * as ClientHandlers from "@mcp-sessions/core/ClientHandlers"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import type * as Session from "@mcp-sessions/core/Session"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { authOf, type Context, isExpected, layerTransports } from "./auth.ts"

/** A scenario, and the server of the suite. */
export interface Scenario {
  readonly url: string
  readonly name: string
  readonly revision: string
  readonly context: Context
}

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
const decodeCalls = Schema.decodeUnknownSync(Schema.Struct({
  toolCalls: Schema.Array(
    Schema.Struct({ name: Schema.String, arguments: Schema.Record(Schema.String, Schema.Unknown) })
  )
}))

const calls = ({ context, name: scenario }: Scenario) => (session: Session.Session) =>
  Effect.gen(function*() {
    const tools = yield* session.listTools()
    switch (scenario) {
      case "tools_call":
        yield* session.callTool("add_numbers", { a: 5, b: 3 })
        return
      case "elicitation-sep1034-client-defaults":
        // The suite asks on the stream of server messages, and does not ask again if it is not open yet.
        yield* Stream.runHead(session.notifications)
        yield* session.callTool("test_client_elicitation_defaults")
        return
      case "sse-retry":
        // The suite takes a late request for the stream of server messages for the reconnect.
        yield* Stream.runHead(session.notifications)
        yield* session.callTool("test_reconnection")
        return
      case "json-schema-2020-12-preservation": {
        const focal = tools.find(({ name }) => name !== "json_schema_echo")
        yield* session.callTool("json_schema_echo", { schema: focal?.inputSchema })
        return
      }
      case "http-custom-headers": {
        const { toolCalls } = decodeCalls(context)
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
        return
      }
      default:
        if (!scenario.startsWith("auth/")) return
        yield* session.callTool(tools[0]?.name ?? "test-tool")
        if (scenario === "auth/authorization-server-migration") yield* session.callTool(tools[0]?.name ?? "test-tool")
    }
  })

const layerOf = ({ context, name, revision, url }: Scenario) =>
  Sessions.layer({
    servers: {
      conformance: {
        transport: "streamable_http",
        url,
        // Negotiation asks a server that is silent for seconds for the legacy era too, which a loaded machine would make of all scenarios.
        protocol: revision >= "2026-07-28" ? "2026-07-28" : "legacy",
        auth: authOf(name, context)
      }
    },
    // A server that refuses is asked no more often than the suite allows.
    ...(name.startsWith("auth/") ? { retry: RetryPolicy.never } : {})
  }).pipe(Layer.provide(Layer.merge(layerTransports(context), Layer.succeed(ClientHandlers.ClientHandlers, handlers))))

/** Runs a scenario. Rejects if it fails otherwise than it has to. */
export const runScenario = (scenario: Scenario): Promise<void> =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.use("conformance", calls(scenario))).pipe(
    Effect.catchIf(
      (error) => error._tag === "SessionError" && isExpected(scenario.name, error),
      () => Effect.void
    ),
    Effect.provide(layerOf(scenario)),
    Effect.runPromise
  )
