/**
 * Opens sockets for `undici` and `ws` through a proxy, or with the certificates of a definition.
 */
import type { RemoteServerOptions } from "@mcp-sessions/core/ServerConfig"
import type { ProxyFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import type { buildConnector as BuildConnector } from "undici"
import { dialOptions } from "./addressPolicy.ts"
import { type Destination, destinationOf } from "./destination.ts"
import { isProxyFailed } from "./dial.ts"
import type { Proxy } from "./proxy.ts"
import type { TlsContexts } from "./tlsContexts.ts"
import { openTunnel } from "./tunnel.ts"
import { buildConnector } from "./undici.ts"

export interface ConnectorOptions {
  readonly config: Pick<RemoteServerOptions, "addresses" | "connectTimeout">
  /** The server of the definition. It alone is shown the certificate of the client, and may have another name. */
  readonly server: Destination
  readonly tls: TlsContexts | undefined
  /** Returns the proxy of a destination, or why it cannot be reached. */
  readonly route: (destination: Destination) => Proxy | ProxyFailed | undefined
  /** Whether connections may speak HTTP/2. */
  readonly allowH2: boolean
}

/** What a connection is opened with. */
interface Way {
  /** The socket through the proxy; `undefined`: the destination is dialled directly. */
  readonly tunnel: Net.Socket | undefined
  readonly secureContext: Tls.SecureContext | undefined
  readonly serverName: string | undefined
}

/** Opens the tunnel, if there is to be one, and finds the certificates. */
const prepareWay = async (...[options, destination]: readonly [ConnectorOptions, Destination]): Promise<Way> => {
  const { config, route, server, tls } = options
  const proxy = route(destination)
  if (isProxyFailed(proxy)) throw proxy
  const contexts = destination.isSecure || proxy?.destination.isSecure === true
    ? tls?.latest ?? await tls?.load()
    : undefined
  const isServer = destination.host === server.host && destination.port === server.port
  const tunnel = proxy === undefined ? undefined : await openTunnel({
    proxy,
    destination,
    timeout: Duration.toMillis(config.connectTimeout),
    lookup: dialOptions(config).lookup,
    secureContext: contexts?.others
  })
  return isServer
    ? { tunnel, secureContext: contexts?.server, serverName: tls?.serverName }
    : { tunnel, secureContext: contexts?.others, serverName: undefined }
}

/** Makes the function that opens sockets for `undici`. */
export const makeConnector = (options: ConnectorOptions): BuildConnector.connector => {
  const { allowH2, config } = options
  const common = { allowH2, timeout: Duration.toMillis(config.connectTimeout), ...dialOptions(config) }
  const plain = buildConnector(common)
  // A connector keeps the TLS sessions of its context.
  const connectors = new WeakMap<Tls.SecureContext, BuildConnector.connector>()
  const connectorOf = (secureContext: Tls.SecureContext | undefined): BuildConnector.connector => {
    if (secureContext === undefined) return plain
    const connector = connectors.get(secureContext) ?? buildConnector({ ...common, secureContext })
    connectors.set(secureContext, connector)
    return connector
  }
  return (at, callback) => {
    const destination = destinationOf(at)
    prepareWay(options, destination).then(({ secureContext, serverName, tunnel }) => {
      if (tunnel !== undefined && !destination.isSecure) return callback(null, tunnel)
      connectorOf(secureContext)({
        ...at,
        ...(serverName === undefined ? {} : { servername: serverName }),
        ...(tunnel === undefined ? {} : { httpSocket: tunnel })
      }, callback)
    }, (error: Error) => callback(error, null))
  }
}
