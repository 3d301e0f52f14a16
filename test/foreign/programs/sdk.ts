/**
 * The smallest server on the SDK v2, which speaks both eras: `sdk.ts stdio|http`.
 */
import { toNodeHandler } from "@modelcontextprotocol/node"
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { createServer } from "node:http"

const make = (): McpServer => {
  const server = new McpServer({ name: "on-sdk", version: "1.0.0" })
  server.registerTool(
    "greet",
    { description: "Greets" },
    () => ({ content: [{ type: "text", text: "Hello from the SDK" }] })
  )
  return server
}

if (process.argv[2] === "http") {
  const handle = toNodeHandler(createMcpHandler(make))
  createServer((request, response) => {
    void handle(request as Parameters<typeof handle>[0], response)
  }).listen()
} else serveStdio(make)
