/**
 * The universal factory: the transport of any server definition.
 *
 * @since 0.1.0
 */
import type { Host } from "@mcp-sessions/core/Host"
import { Transports } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HttpClient } from "./HttpClient.ts"
import * as NodeHost from "./NodeHost.ts"
import { Processes } from "./Processes.ts"
import * as Sse from "./Sse.ts"
import * as Stdio from "./Stdio.ts"
import * as StreamableHttp from "./StreamableHttp.ts"
import * as WebSocket from "./WebSocket.ts"

/**
 * Layer that provides the factory for all transports of this package: stdio, Streamable HTTP, SSE and WebSocket. It provides the machine for
 * configuration files, too.
 *
 * The transports use the `HttpClient` and the `Processes` that the layer is provided with. So the layer is never shared: each program that provides it builds its
 * own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transports | Host> = Layer.fresh(Layer.merge(
  NodeHost.layer,
  Layer.effect(
    Transports,
    Effect.map(Effect.all([HttpClient, Processes]), ([client, processes]): Transports["Service"] => {
      const http = Layer.succeed(HttpClient, client)
      return {
        transport: ({ config }) => {
          switch (config.transport) {
            case "stdio":
              return Layer.provide(Stdio.layer(config), Layer.succeed(Processes, processes))
            case "streamable_http":
              return Layer.provide(StreamableHttp.layer(config), http)
            case "sse":
              return Layer.provide(Sse.layer(config), http)
            case "websocket":
              return WebSocket.layer(config)
          }
        }
      }
    })
  )
))
