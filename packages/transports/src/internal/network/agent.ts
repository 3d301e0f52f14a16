/**
 * Pools of HTTP connections for one transport, which end with it.
 */
import type { RemoteServerOptions } from "@mcp-sessions/core/ServerConfig"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import process from "node:process"
import { dialOptions } from "./addressPolicy.ts"
import { makeConnector } from "./connector.ts"
import { destinationOf } from "./destination.ts"
import { type DialConfig, type DialError, planDial } from "./dial.ts"
import { connectorTo, type Dispatching, forwardTo } from "./forwarding.ts"
import { proxyFor } from "./proxy.ts"
import { tlsContextsOf } from "./tlsContexts.ts"
import { Agent } from "./undici.ts"

/** How many connections there may be beside those for requests in flight: for replies, notifications and responses that linger. */
const spareConnections = 128

/** The pools of one transport: streams that stay open have their own, so that they never take the place of a request. */
export interface Agents {
  readonly dispatcher: Dispatching
  readonly streams: Dispatching
  /** The proxy that requests are addressed to, in place of the server; `undefined`: the server, directly or through a tunnel. */
  readonly forwardProxy: string | undefined
  /** Checks before a connect that the server may be dialled. */
  readonly prepare: Effect.Effect<void, DialError>
}

/** Deadlines are set above: a silent stream or a long call does not mean that the connection failed. */
const patient = { bodyTimeout: 0, headersTimeout: 0 }

/** Makes agents that are destroyed with the scope. */
export const acquireAgents = (
  config: DialConfig & Pick<RemoteServerOptions, "maxInFlightTotal">
): Effect.Effect<Agents, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { destination: server, prepare, proxy, tls } = planDial(config)
    const forward = proxy !== undefined && !server.isSecure && !proxy.destination.isSecure &&
        config.addresses === "any"
      ? proxy
      : undefined
    const isOrdinary = proxy === undefined && (tls === undefined || !server.isSecure)
    const connect = isOrdinary
      ? { timeout: Duration.toMillis(config.connectTimeout), ...dialOptions(config) }
      : forward !== undefined
      ? connectorTo(forward, config.connectTimeout)
      : makeConnector({ config, server, tls, route: () => proxy, allowH2: true })
    return Effect.acquireRelease(
      Effect.sync(() => {
        const options = { ...patient, connect }
        return {
          dispatcher: new Agent({ ...options, connections: config.maxInFlightTotal + spareConnections }),
          streams: new Agent(options)
        }
      }),
      ({ dispatcher, streams }) => Effect.promise(() => Promise.all([dispatcher.destroy(), streams.destroy()]))
    ).pipe(Effect.map(({ dispatcher, streams }): Agents =>
      forward === undefined
        ? { dispatcher, streams, forwardProxy: undefined, prepare }
        : {
          dispatcher: forwardTo(dispatcher, forward),
          streams: forwardTo(streams, forward),
          forwardProxy: forward.origin,
          prepare
        }
    ))
  })

/** How many connections there may be to one authorization server. Authorizations are few: one at a time for each owner and server. */
const authorizationConnections = 64

/** How long a connect to an authorization server may take. */
const authorizationTimeout = Duration.seconds(10)

/**
 * Makes the function that finds the connections to the authorization servers of a definition. They are dialled as the definition says, and
 * destroyed with the scope.
 */
export const acquireAuthorizationAgents: Effect.Effect<
  (config: Omit<DialConfig, "connectTimeout">) => Agent,
  never,
  Scope.Scope
> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new Map<object, Agent>()),
    (agents) => Effect.promise(() => Promise.all(Array.from(agents.values(), (agent) => agent.destroy())))
  ),
  (agents) => (config) => {
    const known = agents.get(config)
    if (known !== undefined) return known
    const { addresses, proxy, tls, url } = config
    const agent = new Agent({
      ...patient,
      connections: authorizationConnections,
      connect: makeConnector({
        config: { addresses, connectTimeout: authorizationTimeout },
        server: destinationOf(new URL(url)),
        tls: tlsContextsOf(tls),
        route: (destination) => proxyFor({ destination, proxy, env: process.env }),
        allowH2: true
      })
    })
    agents.set(config, agent)
    return agent
  }
)
