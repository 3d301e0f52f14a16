/**
 * The smallest server on fastmcp: `fastmcp.ts stdio|httpStream`.
 */
import { FastMCP } from "fastmcp"

const server = new FastMCP({ name: "on-fastmcp", version: "1.0.0" })

server.addTool({ name: "greet", description: "Greets", execute: () => Promise.resolve("Hello from fastmcp") })

await server.start(
  process.argv[2] === "httpStream"
    ? { transportType: "httpStream", httpStream: { port: 0 } }
    : { transportType: "stdio" }
)
