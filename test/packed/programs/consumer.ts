// A program that imports all of both packages, compiled with all checks of their declarations.
import * as Core from "@mcp-sessions/core"
import { Session } from "@mcp-sessions/core"
import * as CoreSessions from "@mcp-sessions/core/Sessions"
import * as All from "@mcp-sessions/transports"
import { McpSessions, text, Transports } from "@mcp-sessions/transports"
import * as OAuth from "@mcp-sessions/transports/OAuth"
import { Effect, Layer } from "effect"

export const live = CoreSessions.layer

export const names: ReadonlyArray<string> = [...Object.keys(Core), ...Object.keys(All), ...Object.keys(OAuth)]

export const tools = Effect.gen(function*() {
  const session = yield* Session.make({ transport: "stdio", command: "server" })
  return (yield* session.listTools()).map((tool) => tool.name)
}).pipe(Effect.scoped, Effect.provide(Transports.layer))

export const call = async (): Promise<string> => {
  const sessions = McpSessions.open({ servers: { files: { url: "https://files.example/mcp" } } })
  try {
    return text(await sessions.callTool("files", "read", { path: "a" }))
  } finally {
    await sessions.close()
  }
}

// @ts-expect-error -- a command is a text
export const wrong = McpSessions.open({ servers: { files: { command: 1 } } })

export const merged = Layer.mergeAll(Transports.layer)
