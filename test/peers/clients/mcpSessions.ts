/** This library, through its promises. */
import { McpSessions, type ServerConfig } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { type Peer, type ServerOf, versionOf } from "../Peer.ts"

export const definitionOf = (server: ServerOf): ServerConfig.ServerConfigInput => {
  const protocol = server.era === "modern" ? "2026-07-28" : "auto"
  switch (server.kind) {
    case "stdio":
      return { transport: "stdio", command: server.command, args: server.args, protocol }
    case "http":
      return { transport: "streamable_http", url: server.url, protocol }
    case "websocket":
      return { transport: "websocket", url: server.url, protocol }
  }
}

const make = (servers: Readonly<Record<string, ServerOf>>) =>
  McpSessions.make({
    transports: Transports.layer,
    servers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, definitionOf(server)]))
  })

export const peer: Peer = {
  name: "mcp-sessions",
  package: "@mcp-sessions/core",
  version: versionOf("@mcp-sessions/core"),
  transports: ["stdio", "http", "websocket"],
  isModern: true,
  connect: async (server) => {
    const sessions = make({ server })
    const session = await sessions.get("server")
    return {
      call: (tool, args, options) => session.callTool(tool, args, { signal: options?.signal }),
      close: async () => sessions[Symbol.asyncDispose]()
    }
  },
  // Sessions connect on first use; here all are opened at once, as other clients do.
  connectMany: async (servers) => {
    const sessions = make(servers)
    const opened = new Map(Object.keys(servers).map((name) => [name, sessions.get(name)] as const))
    // A failed server is reported to the callers of that server.
    for (const session of opened.values()) session.catch(() => {})
    return {
      call: async (server, tool, args) => (await opened.get(server))?.callTool(tool, args),
      close: async () => sessions[Symbol.asyncDispose]()
    }
  }
}
