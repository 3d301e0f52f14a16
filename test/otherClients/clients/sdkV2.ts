/** The official SDK, second major: by default in the legacy era. */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { clientInfo, type ComparedClient } from "../ComparedClient.ts"

export const connect: ComparedClient["connect"] = async (server) => {
  const options = server.era === "modern" ? { versionNegotiation: { mode: { pin: "2026-07-28" } } } : {}
  const client = new Client(clientInfo, options)
  const transport = server.kind === "stdio"
    ? new StdioClientTransport({ command: server.command, args: [...server.args] })
    : new StreamableHTTPClientTransport(new URL(server.url))
  // Its transports are not declared for `exactOptionalPropertyTypes`.
  await client.connect(transport as Parameters<Client["connect"]>[0])
  return {
    call: (name, args, signal) => client.callTool({ name, arguments: args }, signal && { signal }),
    close: () => client.close()
  }
}
