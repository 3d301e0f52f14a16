/**
 * The two endpoints of 2024-11-05 as a channel.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Dispatcher } from "undici"
import type { EngineChannel } from "../jsonRpc/engineChannel.ts"
import { guard } from "../network/addressPolicy.ts"
import { SseTransport } from "./sseTransport.ts"

type Config = Pick<
  Extract<ServerConfig, { readonly transport: "sse" }>,
  "addresses" | "headers" | "maxMessageBytes" | "url"
>

/** Makes a channel that listens once it is started, for as long as the scope. */
export const openSse = (options: {
  readonly config: Config
  readonly dispatcher: Dispatcher
}): Effect.Effect<EngineChannel, ConnectReason, Scope.Scope> => {
  const { config, dispatcher } = options
  const open = Effect.acquireRelease(
    Effect.sync(() =>
      new SseTransport({
        dispatcher,
        url: new URL(config.url),
        headers: Record.map(config.headers, Redacted.value),
        maxBytes: config.maxMessageBytes
      })
    ),
    (transport) => Effect.promise(() => transport.close())
  ).pipe(Effect.map((transport): EngineChannel => ({
    transport,
    ended: () => transport.ended()
  })))
  return Effect.andThen(guard(config), open)
}
