/** The official SDK, second major, with its defaults: the legacy era. */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { clientInfo, type Peer, type ServerOf, unsupported, versionOf } from "../Peer.ts"

const transportOf = (server: ServerOf) => {
  switch (server.kind) {
    case "stdio":
      return new StdioClientTransport({ command: server.command, args: [...server.args] })
    case "http":
      return new StreamableHTTPClientTransport(new URL(server.url))
    case "websocket":
      return unsupported(server.kind)
  }
}

export const peer: Peer = {
  name: "SDK v2",
  package: "@modelcontextprotocol/client",
  version: versionOf("@modelcontextprotocol/client"),
  transports: ["stdio", "http"],
  connect: async (server) => {
    const client = new Client(clientInfo)
    // Its transports are not declared for `exactOptionalPropertyTypes`.
    await client.connect(transportOf(server) as Parameters<Client["connect"]>[0])
    return {
      call: (tool, args, options) =>
        client.callTool(
          { name: tool, arguments: args },
          options?.signal === undefined ? {} : { signal: options.signal }
        ),
      close: () => client.close()
    }
  }
}
