/**
 * Opens channels over the two endpoints of 2024-11-05.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { HttpConnections } from "../../HttpClient.ts"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { givenHeaders } from "../http/httpEndpoint.ts"
import { targetOf } from "../http/httpExchange.ts"
import { withCookieJar } from "../http/keepCookies.ts"
import { CurrentAuthorizer } from "../network/authorizer.ts"
import type { DialError } from "../network/dial.ts"
import { SseTransport, type SseTransportOptions } from "./sseTransport.ts"

type Config = Pick<
  Extract<ServerConfig, { readonly transport: "sse" }>,
  "cookies" | "headers" | "maxMessageBytes" | "url"
>

/** Makes the effect that opens a channel. It listens once it is started, until the scope closes. */
export const openSse = (options: {
  readonly config: Config
  readonly connections: HttpConnections
  readonly redact: (text: string) => string
}): Effect.Effect<EngineChannel, DialError, Scope.Scope> => {
  const { config, connections, redact } = options
  const shared: Omit<SseTransportOptions, "authorizer" | "connections"> = {
    target: targetOf(new URL(config.url)),
    given: givenHeaders(Record.map(config.headers, Redacted.value)),
    maxBytes: config.maxMessageBytes,
    redact
  }
  const open = Effect.acquireRelease(
    Effect.flatMap(
      config.cookies ? withCookieJar(connections, config.url) : Effect.succeed(connections),
      (connections) =>
        Effect.map(CurrentAuthorizer, (authorizer) => new SseTransport({ ...shared, connections, authorizer }))
    ),
    (transport) => Effect.promise(() => transport.close())
  ).pipe(Effect.map((transport): EngineChannel => ({
    transport,
    ended: () => transport.ended(),
    pending: () => transport.pending(),
    warnings: () => transport.warnings()
  })))
  return Effect.andThen(connections.prepare, open)
}
