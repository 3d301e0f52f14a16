/**
 * Transport for servers behind the two endpoints of the HTTP transport of 2024-11-05: events here, posts there.
 *
 * **Gotchas**
 *
 * It speaks the legacy era alone, whose servers it was made for. A definition that insists on a modern revision fails.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 * @since 0.1.0
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { HandshakeFailed } from "@mcp-sessions/core/SessionError"
import { Transport } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { openConnections } from "./internal/network/openConnections.ts"
import * as connection from "./internal/sdk/connection.ts"
import { redactorOf } from "./internal/secrets.ts"
import { openSse } from "./internal/sse/sseChannel.ts"

/**
 * Layer that provides the transport of one SSE definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: Extract<ServerConfig, { readonly transport: "sse" }>): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(openConnections(config), (connections) => {
      const connect = connection.make({
        kind: "sse",
        config: { ...config, protocol: "legacy" },
        address: new URL(config.url).origin,
        era: connection.unknownEra(),
        open: openSse({ config, connections, redact: redactorOf(config) })
      })
      return {
        connect: config.protocol === "2026-07-28"
          ? Effect.fail(new HandshakeFailed({ description: "the SSE transport has no revision 2026-07-28" }))
          : connect
      }
    })
  )
