/** The official SDK, second major: by default in the legacy era. */
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
  isModern: true,
  connect: async (server) => {
    const client = new Client(
      clientInfo,
      server.era === "modern" ? { versionNegotiation: { mode: { pin: "2026-07-28" } } } : {}
    )
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
