/**
 * The adapters of LangChain, with the options that their README turns on: `restart` of processes, and unreachable servers left out.
 * Tools are listed once and kept, as agents do.
 */
import { MultiServerMCPClient } from "@langchain/mcp-adapters"
import { type Peer, type ServerOf, unsupported, versionOf } from "../Peer.ts"

const connectionOf = (server: ServerOf) => {
  switch (server.kind) {
    case "stdio":
      return {
        transport: "stdio" as const,
        command: server.command,
        args: [...server.args],
        restart: { enabled: true, maxAttempts: 3, delayMs: 1000 }
      }
    case "http":
      return { transport: "http" as const, url: server.url }
    case "websocket":
      return unsupported(server.kind)
  }
}

const clientOf = (servers: Readonly<Record<string, ServerOf>>, onConnectionError: "throw" | "ignore") =>
  new MultiServerMCPClient({
    onConnectionError,
    mcpServers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, connectionOf(server)]))
  })

type Tools = Awaited<ReturnType<MultiServerMCPClient["getTools"]>>

const invoke = async (tools: Tools, name: string, args: Record<string, unknown>, signal?: AbortSignal) => {
  const tool = tools.find((tool) => tool.name === name)
  if (tool === undefined) throw new Error(`there is no tool ${name}`)
  return tool.invoke(args, signal === undefined ? undefined : { signal })
}

export const peer: Peer = {
  name: "LangChain",
  package: "@langchain/mcp-adapters",
  version: versionOf("@langchain/mcp-adapters"),
  transports: ["stdio", "http"],
  connect: async (server) => {
    const client = clientOf({ server }, "throw")
    let tools = await client.getTools()
    return {
      call: (tool, args, options) => invoke(tools, tool, args, options?.signal),
      refresh: async () => {
        tools = await client.getTools()
      },
      close: () => client.close()
    }
  },
  connectMany: async (servers) => {
    const client = clientOf(servers, "ignore")
    await client.getTools()
    return {
      call: async (server, tool, args) => invoke(await client.getTools(server), tool, args),
      close: () => client.close()
    }
  }
}
