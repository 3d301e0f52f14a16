/**
 * Opens the HTTP connections of definitions, over the HTTP client of the program.
 */
import type { RemoteServerOptions } from "@mcp-sessions/core/ServerConfig"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import { HttpClient, type HttpConnections } from "../../HttpClient.ts"
import type { DialConfig } from "./dial.ts"

/** How many connections there may be beside those for requests in flight: for replies, notifications and responses that linger. */
const spareConnections = 128

/** Opens the connections to the server of a definition, for as long as the scope. */
export const openConnections = (
  { addresses, connectTimeout, maxInFlightTotal, proxy, tls, url }:
    & DialConfig
    & Pick<RemoteServerOptions, "maxInFlightTotal">
): Effect.Effect<HttpConnections, never, Scope.Scope> =>
  Effect.flatMap(HttpClient, ({ open }) =>
    open({
      purpose: "server",
      url,
      addresses,
      connectTimeout,
      proxy,
      tls,
      maxConnections: maxInFlightTotal + spareConnections
    }))

/** How many connections there may be to one authorization server. Authorizations are few: one at a time for each owner and server. */
const maxConnections = 64

/** How long a connect to an authorization server may take. */
const connectTimeout = Duration.seconds(10)

/** The keys of a definition that say how its authorization servers are dialled. */
type AuthorizationConfig = Omit<DialConfig, "connectTimeout">

/**
 * Makes the function that finds the connections to the authorization servers of a definition. They are opened when they are first needed, and
 * end with the scope.
 */
export const makeAuthorizationConnections: Effect.Effect<
  (config: AuthorizationConfig) => Promise<HttpConnections>,
  never,
  Scope.Scope
> = Effect.gen(function*() {
  const { open } = yield* HttpClient
  const scope = yield* Effect.scope
  const runPromise = yield* FiberSet.makeRuntimePromise()
  const opened = new Map<object, Promise<HttpConnections>>()
  return (config) => {
    const known = opened.get(config)
    if (known !== undefined) return known
    const { addresses, proxy, tls, url } = config
    const options = { purpose: "authorization", url, addresses, connectTimeout, proxy, tls, maxConnections } as const
    const connections = runPromise(Scope.provide(open(options), scope))
    opened.set(config, connections)
    return connections
  }
})
