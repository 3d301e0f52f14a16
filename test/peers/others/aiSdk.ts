/** The client of the AI SDK, with its defaults: it does not repeat calls. */
import { createMCPClient } from "@ai-sdk/mcp"
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio"
import { type Peer, type ServerOf, unsupported, versionOf } from "../Peer.ts"

const transportOf = (server: ServerOf) => {
  switch (server.kind) {
    case "stdio":
      return new StdioMCPTransport({ command: server.command, args: [...server.args] })
    case "http":
      return { type: "http" as const, url: server.url }
    case "websocket":
      return unsupported(server.kind)
  }
}

export const peer: Peer = {
  name: "AI SDK",
  package: "@ai-sdk/mcp",
  version: versionOf("@ai-sdk/mcp"),
  transports: ["stdio", "http"],
  connect: async (server) => {
    const client = await createMCPClient({ transport: transportOf(server) })
    return {
      call: (name, args, options) =>
        client.callTool({
          name,
          arguments: args,
          ...(options?.signal === undefined ? {} : { options: { signal: options.signal } })
        }),
      close: () => client.close()
    }
  }
}
