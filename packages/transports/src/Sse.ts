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
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import { acquireAgent } from "./internal/agent.ts"
import type { Channel } from "./internal/channel.ts"
import * as sdkConnection from "./internal/sdkConnection.ts"
import { SseTransport } from "./internal/sseTransport.ts"

/**
 * Layer that provides the transport of one SSE definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: Extract<ServerConfig, { readonly transport: "sse" }>): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(acquireAgent(config), (dispatcher) => {
      const url = new URL(config.url)
      const open = Effect.acquireRelease(
        Effect.sync(() =>
          new SseTransport({
            dispatcher,
            url,
            headers: Record.map(config.headers, Redacted.value),
            maxBytes: config.maxMessageBytes
          })
        ),
        (transport) => Effect.promise(() => transport.close())
      ).pipe(Effect.map((transport): Channel => ({
        transport,
        gone: (delivery) => transport.gone(delivery),
        stderrTail: () => undefined,
        pid: undefined
      })))
      const connect = sdkConnection.make({
        kind: "sse",
        config: { ...config, protocol: "legacy" },
        address: url.origin,
        era: { isLegacy: true },
        open
      })
      return {
        connect: config.protocol === "2026-07-28"
          ? Effect.fail(new HandshakeFailed({ description: "the SSE transport has no revision 2026-07-28" }))
          : connect
      }
    })
  )
