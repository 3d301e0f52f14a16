/** The client that comes with Effect. It speaks one revision: that of the server. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { McpClient, McpProtocol } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { ChildProcess } from "effect/process"
import { clientInfo, type Peer, type ServerOf, unsupported, versionOf } from "../Peer.ts"

const layerOf = (server: ServerOf) => {
  const protocol = server.era === "modern" ? McpProtocol.v2026_07_28 : McpProtocol.v2025_11_25
  switch (server.kind) {
    case "stdio":
      return McpClient.layerStdio({
        ...clientInfo,
        protocol,
        command: ChildProcess.make(server.command, [...server.args])
      }).pipe(Layer.provide(NodeServices.layer))
    case "http":
      return McpClient.layerHttp({ ...clientInfo, protocol, url: server.url }).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
    case "websocket":
      return unsupported(server.kind)
  }
}

export const peer: Peer = {
  name: "effect/ai",
  package: "effect",
  version: versionOf("effect"),
  transports: ["stdio", "http"],
  isModern: true,
  connect: async (server) => {
    const runtime = ManagedRuntime.make(layerOf(server))
    const client = await runtime.runPromise(McpClient.McpClient)
    // It calls tools that it has listed.
    const tools = new Map((await runtime.runPromise(client.listTools())).map((tool) => [tool.name, tool]))
    return {
      call: (name, args, options) => {
        const tool = tools.get(name)
        return tool === undefined
          ? Promise.reject(new Error(`there is no tool ${name}`))
          : runtime.runPromise(Effect.scoped(client.callTool({ tool, arguments: args })), { signal: options?.signal })
      },
      close: () => runtime.dispose()
    }
  }
}
