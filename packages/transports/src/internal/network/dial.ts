/**
 * Dials the server of a definition: directly or through its proxy, under its address policy.
 *
 * **Details**
 *
 * A policy of public addresses is applied where the name is resolved. So under it names are resolved here, also where a proxy is used, and the
 * proxy gets the address that was checked. The proxy itself is not under the policy: the program or the environment chose it.
 */
import type { RemoteServerOptions } from "@mcp-sessions/core/ServerConfig"
import { type BlockedAddress, ProxyFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import process from "node:process"
import { buildConnector } from "undici"
import { dialOptions, guard } from "./addressPolicy.ts"
import { type Destination, destinationOf } from "./destination.ts"
import { type Proxy, proxyFor } from "./proxy.ts"
import { openTunnel } from "./tunnel.ts"

/** The keys of a definition that say how its server is dialled. */
export type DialConfig = Pick<RemoteServerOptions, "addresses" | "connectTimeout" | "proxy"> & { readonly url: string }

/** Why a server is not dialled. */
export type DialError = BlockedAddress | ProxyFailed

/** How the server of a definition is dialled. */
interface DialPlan {
  readonly destination: Destination
  /** The proxy to dial through; `undefined`: there is none, or one that cannot be used. */
  readonly proxy: Proxy | undefined
  /** Fails, before each connect, if the server is not to be dialled. */
  readonly prepare: Effect.Effect<void, DialError>
}

const isProxyFailed = Schema.is(ProxyFailed)

/** Plans how a server is dialled, in the environment of this moment. */
export const planDial = (config: DialConfig): DialPlan => {
  const destination = destinationOf(new URL(config.url))
  const proxy = proxyFor({ destination, proxy: config.proxy, env: process.env })
  return isProxyFailed(proxy)
    ? { destination, proxy: undefined, prepare: Effect.fail(proxy) }
    : { destination, proxy, prepare: guard(config) }
}

/** Opens sockets for undici, each directly or through the proxy of its destination. */
export const routedConnector = (
  ...[config, route]: readonly [
    Pick<DialConfig, "addresses" | "connectTimeout">,
    (destination: Destination) => Proxy | ProxyFailed | undefined
  ]
): buildConnector.connector => {
  const timeout = Duration.toMillis(config.connectTimeout)
  const { lookup } = dialOptions(config)
  const direct = buildConnector({ timeout, ...dialOptions(config) })
  return (at, callback) => {
    const destination = destinationOf(at)
    const proxy = route(destination)
    if (proxy === undefined) return direct(at, callback)
    if (isProxyFailed(proxy)) return callback(proxy, null)
    openTunnel({ proxy, destination, timeout, lookup }, (error, socket) => {
      if (error !== null) callback(error, null)
      else if (destination.isSecure) direct({ ...at, httpSocket: socket }, callback)
      else callback(null, socket)
    })
  }
}
