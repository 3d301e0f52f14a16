/** The official SDK, first major. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js"
import { clientInfo, type ComparedClient, type ServerOf } from "../ComparedClient.ts"

const transportOf = (server: ServerOf) => {
  if (server.kind === "stdio") return new StdioClientTransport({ command: server.command, args: [...server.args] })
  const url = new URL(server.url)
  return server.kind === "http" ? new StreamableHTTPClientTransport(url) : new WebSocketClientTransport(url)
}

export const connect: ComparedClient["connect"] = async (server) => {
  const client = new Client(clientInfo)
  // Its transports are not declared for `exactOptionalPropertyTypes`.
  await client.connect(transportOf(server) as Parameters<Client["connect"]>[0])
  return {
    call: (name, args, signal) => client.callTool({ name, arguments: args }, undefined, signal && { signal }),
    close: () => client.close()
  }
}
