/**
 * Transport for servers behind a WebSocket: subprotocol `mcp`, one text frame for each message. While the server does not read, up to
 * 8 Mi characters of messages wait, unwritten; further requests fail with `QueueFull`.
 *
 * @since 0.1.0
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { Transport } from "@mcp-sessions/core/Transport"
import * as Layer from "effect/Layer"
import * as connection from "./internal/sdk/connection.ts"
import { redactorOf } from "./internal/secrets.ts"
import { openWebSocket } from "./internal/webSocket/webSocketChannel.ts"

/**
 * Layer that provides the transport of one WebSocket definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  config: Extract<ServerConfig, { readonly transport: "websocket" }>
): Layer.Layer<Transport> =>
  Layer.sync(Transport, () => {
    const era = connection.unknownEra()
    const address = new URL(config.url).origin
    const open = openWebSocket(config, redactorOf(config))
    return {
      connect: connection.make({ kind: "websocket", config, address, era, open }),
      forget: era.forget
    }
  })
