/**
 * Transport for servers behind one HTTP endpoint.
 *
 * **Details**
 *
 * Requests go over a connection pool of the transport's own, which is destroyed with it. A session that the server handed
 * out is given back with a `DELETE` before the connection closes, for which there are 2 seconds.
 *
 * With `sseFallback`, which `transport: "http"` implies, a server that refuses to be posted to is met over SSE instead. What
 * was learnt holds for the next connections.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @since 0.1.0
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import { Transport } from "@mcp-sessions/core/Transport"
import { SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import * as endpointFetch from "./internal/http/endpointFetch.ts"
import { HttpTransport, reconnectSlowly } from "./internal/http/httpTransport.ts"
import type { EngineChannel } from "./internal/jsonRpc/engineChannel.ts"
import { guard } from "./internal/network/addressPolicy.ts"
import { acquireAgent } from "./internal/network/agent.ts"
import * as connection from "./internal/sdk/connection.ts"
import { openSse } from "./internal/sse/sseChannel.ts"

/**
 * Whether a refusal is what a server of 2024-11-05 says, for whom the endpoint is there to be listened to only.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility
 */
const isLegacySseServer = (reason: ConnectReason): boolean =>
  reason._tag === "HttpFailed" && [400, 404, 405, 406, 415].includes(reason.status)

const terminateTimeout = Duration.seconds(2)

/** Gives the session back, then closes. In this order: closing aborts whatever is still under way, the DELETE too. */
const release = (transport: HttpTransport): Effect.Effect<void> =>
  (transport.holdsSession ? Effect.tryPromise(() => transport.terminateSession()) : Effect.void).pipe(
    // The server may have been closing the idle socket that this went out on. A status is an answer.
    Effect.retry({ times: 1, while: ({ cause }) => !(cause instanceof SdkHttpError) }),
    Effect.timeout(terminateTimeout),
    Effect.catch((error) => Effect.logDebug("the session could not be given back to the server", error)),
    Effect.andThen(Effect.promise(() => transport.dispose()))
  )

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
    Effect.gen(function*() {
      const url = new URL(config.url)
      const headers = Record.map(config.headers, Redacted.value)
      const dispatcher = yield* acquireAgent(config)
      const open = Effect.acquireRelease(
        Effect.sync(() => {
          let retryAfter: string | undefined
          const fetch = endpointFetch.make({
            dispatcher,
            maxBytes: config.maxMessageBytes,
            onResponse: ({ headers }) => {
              const value = headers["retry-after"]
              retryAfter = typeof value === "string" ? value : undefined
            }
          })
          const inner = new StreamableHTTPClientTransport(url, {
            fetch,
            requestInit: { headers },
            reconnectionScheduler: reconnectSlowly()
          })
          const transport = new HttpTransport({ inner, dispatcher, url, headers, maxBytes: config.maxMessageBytes })
          const channel: EngineChannel = {
            transport,
            ended: () => undefined,
            retryAfter: () => retryAfter,
            warnings: () => transport.serverStream.warnings(),
            serverStream: transport.serverStream
          }
          return { channel, transport }
        }),
        ({ transport }) => release(transport)
      ).pipe(Effect.map(({ channel }) => channel))
      const connect = connection.make({
        kind: "streamable_http",
        config,
        address: url.origin,
        era: connection.unknownEra(),
        open: Effect.andThen(guard(config), open),
        fallback: config.sseFallback
          ? { kind: "sse", open: openSse({ config, dispatcher }), isFor: isLegacySseServer }
          : undefined
      })
      return { connect }
    })
  )
