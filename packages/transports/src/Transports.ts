/**
 * The universal factory: the transport of any server definition.
 *
 * @since 0.1.0
 */
import type { Host } from "@mcp-sessions/core/Host"
import { Transports } from "@mcp-sessions/core/Transport"
import * as Layer from "effect/Layer"
import * as NodeHost from "./NodeHost.ts"
import * as Sse from "./Sse.ts"
import * as Stdio from "./Stdio.ts"
import * as StreamableHttp from "./StreamableHttp.ts"
import * as WebSocket from "./WebSocket.ts"

/**
 * Layer that provides the factory for all transports of this package: stdio, Streamable HTTP, SSE and WebSocket. It provides the machine for
 * configuration files, too.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transports | Host> = Layer.merge(
  NodeHost.layer,
  Layer.succeed(Transports, {
    transport: ({ config }) => {
      switch (config.transport) {
        case "stdio":
          return Stdio.layer(config)
        case "streamable_http":
          return StreamableHttp.layer(config)
        case "sse":
          return Sse.layer(config)
        case "websocket":
          return WebSocket.layer(config)
      }
    }
  })
)
