/**
 * An agent of LangChain whose tools came from `@langchain/mcp-adapters`. Its configuration stays; these lines were:
 *
 * ```ts
 * const client = new MultiServerMCPClient({ mcpServers, prefixToolNameWithServerName: true })
 * const tools = await client.getTools()
 * …
 * await client.close()
 * ```
 */
import { DynamicStructuredTool } from "@langchain/core/tools"
import { LangChain, McpSessions } from "@mcp-sessions/transports"

const mcpServers = {
  everything: { transport: "stdio" as const, command: "mcp-server-everything", args: ["stdio"] },
  // A server that does not start: its tools are missing, and the others work.
  missing: { transport: "stdio" as const, command: "not-installed-here", args: [] }
}

/** Gives what the model reads of a call. */
export const main = async (): Promise<unknown> => {
  const sessions = McpSessions.open({ servers: mcpServers })
  try {
    const tools = LangChain.tools({ tools: await sessions.tools(), DynamicStructuredTool })
    const name = "everything_get-sum"
    const tool = tools.find((tool) => tool.name === name)
    const message: unknown = await tool?.invoke({ type: "tool_call", id: "1", name, args: { a: 2, b: 3 } })
    return (message as { readonly content: unknown }).content
  } finally {
    await sessions.close()
  }
}
