/**
 * Opens tunnels: connections through a proxy that passes on bytes, by `CONNECT`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#CONNECT
 */
import { ProxyFailed } from "@mcp-sessions/core/SessionError"
import type { Buffer } from "node:buffer"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { clearTimeout, setTimeout } from "node:timers"
import type * as Tls from "node:tls"
import { authorityOf, type Destination } from "./destination.ts"
import { networkCodeOf } from "./networkFailure.ts"
import type { Proxy } from "./proxy.ts"

/** How long an idle tunnel waits before the system probes it, in milliseconds. */
const keepAliveDelay = 60_000

interface TunnelOptions {
  readonly proxy: Proxy
  readonly destination: Destination
  /** How long the proxy may take, in milliseconds. */
  readonly timeout: number
  /** Resolves the name of the destination here and not at the proxy; `undefined`: the proxy resolves it. */
  readonly lookup: Net.LookupFunction | undefined
  /** What a proxy over TLS is checked by. */
  readonly secureContext: Tls.SecureContext | undefined
}

const resolve = (host: string, lookup: Net.LookupFunction): Promise<string> =>
  new Promise((resolve, reject) => {
    lookup(host, {}, (error, address) => {
      if (error === null) resolve(String(address))
      else reject(error)
    })
  })

/** Opens a tunnel. Rejects with `ProxyFailed`, or with the error of the lookup. */
export const openTunnel = async (options: TunnelOptions): Promise<Net.Socket> => {
  const { destination: { host, port }, lookup } = options
  const address = lookup === undefined || Net.isIP(host) !== 0 ? host : await resolve(host, lookup)
  return connectTo(options, authorityOf({ host: address, port }))
}

/** Asks the proxy for a connection. */
const connectTo = (...[options, authority]: readonly [TunnelOptions, string]): Promise<Net.Socket> =>
  new Promise((resolve, reject) => {
    const { proxy, secureContext, timeout } = options
    const fail = (details: { readonly code?: string; readonly status?: number; readonly cause?: unknown }) =>
      reject(new ProxyFailed({ proxy: proxy.origin, delivery: "NotSent", ...details }))
    const request = (proxy.destination.isSecure ? Https : Http).request({
      host: proxy.destination.host,
      port: proxy.destination.port,
      method: "CONNECT",
      path: authority,
      headers: {
        host: authority,
        ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization })
      },
      agent: false,
      ...(secureContext === undefined ? {} : { secureContext })
    })
    const timer = setTimeout(() => request.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })), timeout)
    // Each response to CONNECT arrives as this event, a refusal too.
    request.once("connect", ({ statusCode: status = 0 }, socket: Net.Socket, head: Buffer) => {
      clearTimeout(timer)
      if (status < 200 || status > 299) {
        socket.on("error", () => {}).destroy()
        return fail({ status })
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket.setNoDelay(true).setKeepAlive(true, keepAliveDelay))
    })
    // A listener for as long as the request: an error without one would end this process.
    request.on("error", (cause) => {
      clearTimeout(timer)
      fail({ code: networkCodeOf({ error: cause }).code ?? cause.name, cause })
    })
    request.end()
  })
