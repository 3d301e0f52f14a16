/**
 * The smallest server on tmcp.
 */
import { StdioTransport } from "@tmcp/transport-stdio"
import { McpServer } from "tmcp"

const server = new McpServer(
  { name: "on-tmcp", version: "1.0.0", description: "Greets" },
  { adapter: undefined, capabilities: { tools: {} } }
)

server.tool(
  { name: "greet", description: "Greets" },
  () => ({ content: [{ type: "text", text: "Hello from tmcp" }] })
)

new StdioTransport(server).listen()
