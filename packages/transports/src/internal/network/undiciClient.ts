/**
 * The default HTTP client: pools of undici, which end with the scope that they are opened in.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Scope from "effect/Scope"
import process from "node:process"
import type { HttpClient, HttpConnections, HttpHandler, HttpOptions, HttpRequest } from "../../HttpClient.ts"
import { dialOptions } from "./addressPolicy.ts"
import { destinationOf } from "./destination.ts"
import { planDial } from "./dial.ts"
import { connectorTo, type Dispatching, forwardTo } from "./forwarding.ts"
import { proxyFor } from "./proxy.ts"
import { makeConnector } from "./socketConnector.ts"
import { tlsContextsOf } from "./tlsContexts.ts"
import { Agent } from "./undici.ts"

/** Deadlines are set above: a silent stream or a long call does not mean that the connection failed. */
const patient = { bodyTimeout: 0, headersTimeout: 0 }

const acquireAgent = (options: Agent.Options): Effect.Effect<Agent, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Agent({ ...patient, ...options })),
    (agent) => Effect.promise(() => agent.destroy())
  )

/** Opens the pools of a server. Streams that stay open have their own, so that they never take the place of a request. */
const openServer = (options: HttpOptions): Effect.Effect<HttpConnections, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { addresses, connectTimeout, maxConnections: connections } = options
    const { destination: server, prepare, proxy, tls } = planDial(options)
    const forward = proxy !== undefined && !server.isSecure && !proxy.destination.isSecure && addresses === "any"
      ? proxy
      : undefined
    const isOrdinary = proxy === undefined && (tls === undefined || !server.isSecure)
    const connect = isOrdinary
      ? { timeout: Duration.toMillis(connectTimeout), ...dialOptions(options) }
      : forward !== undefined
      ? connectorTo(forward, connectTimeout)
      : makeConnector({ config: options, server, tls, route: () => proxy, allowH2: true })
    const acquire = (options: Agent.Options): Effect.Effect<Dispatching, never, Scope.Scope> =>
      Effect.map(
        acquireAgent({ ...options, connect }),
        (agent) => forward === undefined ? agent : forwardTo(agent, forward)
      )
    return Effect.map(
      Effect.all([acquire({ connections }), acquire({})]),
      ([requests, streams]): HttpConnections => ({
        prepare,
        send: (request: HttpRequest, handler: HttpHandler) => {
          ;(request.isStream ? streams : requests).dispatch(request, handler)
          return constVoid
        }
      })
    )
  })

/** Opens the pool for the authorization servers of a definition. Each may have a proxy of its own in the environment. */
const openAuthorization = (options: HttpOptions): Effect.Effect<HttpConnections, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { maxConnections: connections, proxy, tls, url } = options
    const connect = makeConnector({
      config: options,
      server: destinationOf(new URL(url)),
      tls: tlsContextsOf(tls),
      route: (destination) => proxyFor({ destination, proxy, env: process.env }),
      allowH2: true
    })
    return Effect.map(acquireAgent({ connections, connect }), (agent): HttpConnections => ({
      prepare: Effect.void,
      send: (request, handler) => {
        agent.dispatch(request, handler)
        return constVoid
      }
    }))
  })

export const undiciClient: HttpClient = {
  open: (options) => options.purpose === "server" ? openServer(options) : openAuthorization(options)
}
