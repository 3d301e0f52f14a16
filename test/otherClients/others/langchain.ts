/**
 * The adapters of LangChain, with the options that their README turns on: `restart` of processes, and unreachable servers left out.
 * Tools are listed once and kept, as agents do.
 */
import { MultiServerMCPClient } from "@langchain/mcp-adapters"
import type { ComparedClient, ServerOf } from "../ComparedClient.ts"

const connectionOf = (server: ServerOf) =>
  server.kind === "stdio"
    ? {
      transport: "stdio" as const,
      command: server.command,
      args: [...server.args],
      restart: { enabled: true, maxAttempts: 3, delayMs: 1000 }
    }
    : { transport: "http" as const, url: server.url }

export const connectMany: ComparedClient["connectMany"] & {} = async (servers, name) => {
  const client = new MultiServerMCPClient({
    onConnectionError: "ignore",
    mcpServers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, connectionOf(server)]))
  })
  await client.getTools()
  let tools = await client.getTools(name)
  return {
    call: async (name, args, signal) => {
      const tool = tools.find((tool) => tool.name === name)
      if (tool === undefined) throw new Error(`there is no tool ${name}`)
      return tool.invoke(args, signal && { signal })
    },
    refresh: async () => {
      tools = await client.getTools(name)
    },
    close: () => client.close()
  }
}

export const connect: ComparedClient["connect"] = (server) => connectMany({ server }, "server")
