/** The client of the AI SDK, with its defaults: it does not repeat calls. */
import { createMCPClient } from "@ai-sdk/mcp"
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio"
import type { ComparedClient } from "../ComparedClient.ts"

export const connect: ComparedClient["connect"] = async (server) => {
  const client = await createMCPClient({
    transport: server.kind === "stdio"
      ? new StdioMCPTransport({ command: server.command, args: [...server.args] })
      : { type: "http", url: server.url }
  })
  return {
    call: (name, args, signal) => client.callTool({ name, arguments: args, ...(signal && { options: { signal } }) }),
    close: () => client.close()
  }
}
