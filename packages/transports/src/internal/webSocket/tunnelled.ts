/**
 * Opens the socket below a WebSocket through a proxy.
 */
import * as Duration from "effect/Duration"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { ClientOptions } from "ws"
import { dialOptions } from "../network/addressPolicy.ts"
import type { Destination } from "../network/destination.ts"
import type { DialConfig } from "../network/dial.ts"
import type { Proxy } from "../network/proxy.ts"
import { openTunnel } from "../network/tunnel.ts"

type CreateConnection = NonNullable<ClientOptions["createConnection"]>

/** Makes the function by which a WebSocket opens its socket. It calls back, as functions for Node's HTTP client may. */
export const tunnelled = (options: {
  readonly config: DialConfig
  readonly destination: Destination
  readonly proxy: Proxy
}): CreateConnection => {
  const { config, destination, proxy } = options
  const timeout = Duration.toMillis(config.connectTimeout)
  const { lookup } = dialOptions(config)
  const servername = Net.isIP(destination.host) === 0 ? destination.host : ""
  const create = (_: unknown, done: (error: Error | null, socket?: Net.Socket) => void): void =>
    openTunnel({ proxy, destination, timeout, lookup }, (error, socket) => {
      if (error !== null) done(error)
      else done(null, destination.isSecure ? Tls.connect({ socket, servername }) : socket)
    })
  // The type is that of `Net.createConnection`, which returns the socket.
  return create as unknown as CreateConnection
}
