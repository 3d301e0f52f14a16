/** The client of Mastra. Tools are listed once and kept, as agents do; they reconnect by themselves. */
import { MCPClient } from "@mastra/mcp"
import { type Peer, type ServerOf, unsupported, versionOf } from "../Peer.ts"

const definitionOf = (server: ServerOf) => {
  switch (server.kind) {
    case "stdio":
      return { command: server.command, args: [...server.args] }
    case "http":
      return { url: new URL(server.url) }
    case "websocket":
      return unsupported(server.kind)
  }
}

/** The part of its tools that is used here. */
interface Tool {
  readonly execute?: (
    args: Record<string, unknown>,
    options: { readonly abortSignal?: AbortSignal | undefined }
  ) => Promise<unknown>
}

let clients = 0

const open = async (servers: Readonly<Record<string, ServerOf>>) => {
  const client = new MCPClient({
    // It refuses two clients of one configuration.
    id: `peer ${++clients}`,
    servers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, definitionOf(server)]))
  })
  const toolsets = await client.listToolsets()
  return {
    call: async (server: string, name: string, args: Record<string, unknown>, signal?: AbortSignal) => {
      const tool = toolsets[server]?.[name] as Tool | undefined
      if (tool?.execute === undefined) throw new Error(`there is no tool ${name}`)
      return tool.execute(args, { abortSignal: signal })
    },
    close: () => client.disconnect()
  }
}

export const peer: Peer = {
  name: "Mastra",
  package: "@mastra/mcp",
  version: versionOf("@mastra/mcp"),
  transports: ["stdio", "http"],
  connect: async (server) => {
    const { call, close } = await open({ server })
    return { call: (tool, args, options) => call("server", tool, args, options?.signal), close }
  },
  connectMany: async (servers) => {
    const { call, close } = await open(servers)
    return { call: (server, tool, args) => call(server, tool, args), close }
  }
}
