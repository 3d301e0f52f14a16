/** The client that comes with Effect. It speaks one revision: that of the server. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { McpClient, McpProtocol } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { ChildProcess } from "effect/process"
import { clientInfo, type ComparedClient, type ServerOf } from "../ComparedClient.ts"

const layerOf = (server: ServerOf) => {
  const protocol = server.era === "modern" ? McpProtocol.v2026_07_28 : McpProtocol.v2025_11_25
  return server.kind === "stdio"
    ? McpClient.layerStdio({
      ...clientInfo,
      protocol,
      command: ChildProcess.make(server.command, [...server.args])
    }).pipe(Layer.provide(NodeServices.layer))
    : McpClient.layerHttp({ ...clientInfo, protocol, url: server.url }).pipe(Layer.provide(FetchHttpClient.layer))
}

export const connect: ComparedClient["connect"] = async (server) => {
  const runtime = ManagedRuntime.make(layerOf(server))
  const client = await runtime.runPromise(McpClient.McpClient)
  // It calls tools that it has listed.
  const tools = new Map((await runtime.runPromise(client.listTools())).map((tool) => [tool.name, tool]))
  return {
    call: async (name, args, signal) => {
      const tool = tools.get(name)
      if (tool === undefined) throw new Error(`there is no tool ${name}`)
      return runtime.runPromise(Effect.scoped(client.callTool({ tool, arguments: args })), { signal })
    },
    close: () => runtime.dispose()
  }
}
