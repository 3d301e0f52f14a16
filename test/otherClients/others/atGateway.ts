/** Clients of other people in this process, at a gateway. */
import { createMCPClient } from "@ai-sdk/mcp"
import { MultiServerMCPClient } from "@langchain/mcp-adapters"
import { MCPClient } from "@mastra/mcp"
import type { OpenAtGateway } from "../gateway/GatewayClient.ts"

export const aiSdk: OpenAtGateway = async (url) => {
  const client = await createMCPClient({ transport: { type: "http", url } })
  return {
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args) => client.callTool({ name, arguments: args }),
    read: (uri) => client.readResource({ uri }),
    close: () => client.close()
  }
}

export const langChain: OpenAtGateway = async (url) => {
  let reports = 0
  const client = new MultiServerMCPClient({
    mcpServers: { gateway: { transport: "http", url } },
    onProgress: () => void reports++
  })
  const call = async (name: string, args: Record<string, unknown>): Promise<unknown> => {
    const tool = (await client.getTools()).find((tool) => tool.name === name)
    if (tool === undefined) throw new Error(`there is no tool ${name}`)
    return tool.invoke(args)
  }
  return {
    list: async () => (await client.getTools()).map(({ name }) => name),
    call,
    reports: async (name, args) => {
      await call(name, args)
      return reports
    },
    read: (uri) => client.readResource("gateway", uri),
    close: () => client.close()
  }
}

export const mastra: OpenAtGateway = async (url) => {
  const client = new MCPClient({ servers: { gateway: { url: new URL(url), enableProgressTracking: true } } })
  let reports = 0
  await client.progress.onUpdate("gateway", () => void reports++)
  const call = async (name: string, args: Record<string, unknown>): Promise<unknown> => {
    const tool = (await client.listToolsets())["gateway"]?.[name] as
      | { readonly execute?: (args: object, options: object) => Promise<unknown> }
      | undefined
    if (tool?.execute === undefined) throw new Error(`there is no tool ${name}`)
    return tool.execute(args, {})
  }
  return {
    list: async () => Object.keys((await client.listToolsets())["gateway"] ?? {}),
    call,
    reports: async (name, args) => {
      await call(name, args)
      return reports
    },
    read: (uri) => client.resources.read("gateway", uri),
    close: () => client.disconnect()
  }
}
