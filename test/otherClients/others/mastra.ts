/** The client of Mastra. Tools are listed once and kept, as agents do; they reconnect by themselves. */
import { MCPClient } from "@mastra/mcp"
import type { ComparedClient, ServerOf } from "../ComparedClient.ts"

/** The part of its tools that is used here. */
interface Tool {
  readonly execute?: (args: object, options: { readonly abortSignal?: AbortSignal | undefined }) => Promise<unknown>
}

const definitionOf = (server: ServerOf) =>
  server.kind === "stdio" ? { command: server.command, args: [...server.args] } : { url: new URL(server.url) }

export const connectMany: ComparedClient["connectMany"] & {} = async (servers, server) => {
  const client = new MCPClient({
    servers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, definitionOf(server)]))
  })
  const toolsets = await client.listToolsets()
  return {
    call: async (name, args, abortSignal) => {
      const tool = toolsets[server]?.[name] as Tool | undefined
      if (tool?.execute === undefined) throw new Error(`there is no tool ${name}`)
      return tool.execute(args, { abortSignal })
    },
    close: () => client.disconnect()
  }
}

export const connect: ComparedClient["connect"] = (server) => connectMany({ server }, "server")
