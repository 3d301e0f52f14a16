/**
 * Opens channels over Streamable HTTP.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { HttpConnections } from "../../HttpClient.ts"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { CurrentAuthorizer } from "../network/authorizer.ts"
import type { DialError } from "../network/dial.ts"
import { givenHeaders } from "./httpEndpoint.ts"
import { type Refusal, targetOf } from "./httpExchange.ts"
import { HttpTransport, type HttpTransportOptions } from "./httpTransport.ts"
import { withCookieJar } from "./keepCookies.ts"
import { releaseSession } from "./releaseSession.ts"

type Config = Pick<
  Extract<ServerConfig, { readonly transport: "streamable_http" }>,
  "cookies" | "headers" | "maxMessageBytes" | "url"
>

/** Ends the session on the server, then closes. The order matters: closing ends whatever is in flight, the DELETE too. */
const release = (transport: HttpTransport): Effect.Effect<void> =>
  Effect.andThen(
    transport.holdsSession ? releaseSession(transport) : Effect.void,
    Effect.promise(() => transport.close())
  )

/** Makes the effect that opens a channel, closed with the scope. Nothing is sent before the handshake. */
export const openHttp = (options: {
  readonly config: Config
  readonly connections: HttpConnections
  readonly redact: (text: string) => string
  readonly refusalError: (refusal: Refusal) => Error
}): Effect.Effect<EngineChannel, DialError, Scope.Scope> => {
  const { config, connections, redact, refusalError } = options
  const shared: Omit<HttpTransportOptions, "authorizer" | "connections" | "timeOfDay"> = {
    target: targetOf(new URL(config.url)),
    given: givenHeaders(Record.map(config.headers, Redacted.value)),
    maxBytes: config.maxMessageBytes,
    redact,
    refusalError
  }
  const make = Effect.flatMap(
    config.cookies ? withCookieJar(connections, config.url) : Effect.succeed(connections),
    (connections) =>
      Effect.zipWith(CurrentAuthorizer, Clock.Clock, (authorizer, clock) => {
        const timeOfDay = () => clock.currentTimeMillisUnsafe()
        return new HttpTransport({ ...shared, connections, authorizer, timeOfDay })
      })
  )
  return Effect.andThen(connections.prepare, Effect.acquireRelease(make, release))
}
