/** This library, through its promises. */
import { McpSessions, type ServerConfig } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import type { ComparedClient, ServerOf } from "../ComparedClient.ts"

export const definitionOf = (server: ServerOf): ServerConfig.ServerConfigInput => {
  const protocol = server.era === "modern" ? "2026-07-28" : "auto"
  return server.kind === "stdio"
    ? { transport: "stdio", command: server.command, args: server.args, protocol }
    : { transport: server.kind === "http" ? "streamable_http" : "websocket", url: server.url, protocol }
}

export const connectMany: ComparedClient["connectMany"] & {} = async (servers, name) => {
  const sessions = McpSessions.make({
    transports: Transports.layer,
    servers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, definitionOf(server)]))
  })
  // Sessions connect on first use; here all are opened at once, as other clients do. A failure is reported to the callers of that server.
  for (const name of Object.keys(servers)) sessions.get(name).catch(() => {})
  const session = await sessions.get(name)
  return {
    call: (tool, args, signal) => session.callTool(tool, args, { signal }),
    close: async () => sessions[Symbol.asyncDispose]()
  }
}

export const connect: ComparedClient["connect"] = (server) => connectMany({ server }, "server")
