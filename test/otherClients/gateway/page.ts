/**
 * The table of `docs/gateway.md`: the clients that used a gateway. Written from rows, and read back into them.
 */
import { cellsOf, region, replace, table } from "../../../tools/markdown.ts"

export type Row = ReadonlyArray<string>

const columns = ["client", "package", "revision", "lists", "calls", "progress", "reads", "ends its session"]

/** Each with its file, what opens it there, and its package. Only the SDKs come with the repository. */
export const clientsAtGateway = [
  { name: "SDK v1", file: "clients.ts", open: "sdkV1", from: "@modelcontextprotocol/sdk" },
  { name: "SDK v2", file: "clients.ts", open: "sdkV2", from: "@modelcontextprotocol/client" },
  { name: "MCP Inspector", file: "clients.ts", open: "inspector", from: "@modelcontextprotocol/inspector" },
  { name: "mcporter", file: "clients.ts", open: "mcporter", from: "mcporter" },
  { name: "supergateway", file: "clients.ts", open: "supergateway", from: "supergateway" },
  { name: "AI SDK", file: "../others/atGateway.ts", open: "aiSdk", from: "@ai-sdk/mcp" },
  { name: "LangChain", file: "../others/atGateway.ts", open: "langChain", from: "@langchain/mcp-adapters" },
  { name: "Mastra", file: "../others/atGateway.ts", open: "mastra", from: "@mastra/mcp" }
] as const

export const write = (rows: ReadonlyArray<Row>): void => replace("docs/gateway.md", "clients", table(columns, rows))

export const read = (): ReadonlyArray<Row> => region("docs/gateway.md", "clients").split("\n").slice(2).map(cellsOf)
