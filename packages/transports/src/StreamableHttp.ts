/**
 * Transport for servers behind one HTTP endpoint.
 *
 * **Details**
 *
 * Requests go through the `HttpClient` of the program, by default over a connection pool of the transport, which is destroyed with it, of at
 * most `maxInFlightTotal` + 128 sockets. Streams that stay open have a pool of their own. A session that the server created is ended with a
 * `DELETE` before the connection closes, for 2 seconds at most.
 *
 * With `sseFallback`, which `transport: "http"` implies, the transport falls back to SSE when the server rejects the POST, and remembers
 * it for the next connections.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @since 0.1.0
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import { Transport } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { openHttp } from "./internal/http/httpChannel.ts"
import { openConnections } from "./internal/network/openConnections.ts"
import * as connection from "./internal/sdk/connection.ts"
import { refusalError } from "./internal/sdk/refusalError.ts"
import { redactorOf } from "./internal/secrets.ts"
import { openSse } from "./internal/sse/sseChannel.ts"

/**
 * Whether a refusal is that of a server of 2024-11-05, whose endpoint only streams events.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility
 */
const isLegacySseServer = (reason: ConnectReason): boolean =>
  reason._tag === "HttpFailed" && [400, 404, 405, 406, 415].includes(reason.status)

/**
 * Layer that provides the transport of one Streamable HTTP definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  config: Extract<ServerConfig, { readonly transport: "streamable_http" }>
): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(openConnections(config), (connections) => {
      const redact = redactorOf(config)
      const era = connection.unknownEra()
      return {
        forget: era.forget,
        connect: connection.make({
          kind: "streamable_http",
          config,
          address: new URL(config.url).origin,
          era,
          open: openHttp({ config, connections, redact, refusalError }),
          fallback: config.sseFallback
            ? { kind: "sse", open: openSse({ config, connections, redact }), isFor: isLegacySseServer }
            : undefined
        })
      }
    })
  )
