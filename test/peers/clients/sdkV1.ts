/** The official SDK, first major. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js"
import { clientInfo, type Peer, type ServerOf, versionOf } from "../Peer.ts"

const transportOf = (server: ServerOf) => {
  switch (server.kind) {
    case "stdio":
      return new StdioClientTransport({ command: server.command, args: [...server.args] })
    case "http":
      return new StreamableHTTPClientTransport(new URL(server.url))
    case "websocket":
      return new WebSocketClientTransport(new URL(server.url))
  }
}

export const peer: Peer = {
  name: "SDK v1",
  package: "@modelcontextprotocol/sdk",
  version: versionOf("@modelcontextprotocol/sdk"),
  transports: ["stdio", "http", "websocket"],
  connect: async (server) => {
    const client = new Client(clientInfo)
    // Its transports are not declared for `exactOptionalPropertyTypes`.
    await client.connect(transportOf(server) as Parameters<Client["connect"]>[0])
    return {
      call: (tool, args, options) =>
        client.callTool(
          { name: tool, arguments: args },
          undefined,
          options?.signal === undefined ? {} : { signal: options.signal }
        ),
      close: () => client.close()
    }
  }
}
