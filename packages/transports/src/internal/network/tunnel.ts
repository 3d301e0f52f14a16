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
import { authorityOf, type Destination } from "./destination.ts"
import { networkCodeOf } from "./networkFailure.ts"
import type { Proxy } from "./proxy.ts"

/** How long an idle tunnel waits before the system probes it, in milliseconds. */
const keepAliveDelay = 60_000

export interface TunnelOptions {
  readonly proxy: Proxy
  readonly destination: Destination
  /** How long the proxy may take, in milliseconds. */
  readonly timeout: number
  /** Resolves the name of the destination here and not at the proxy; `undefined`: the proxy resolves it. */
  readonly lookup: Net.LookupFunction | undefined
}

/** Called once, with the socket or with why there is none. */
type Done = (...outcome: [error: null, socket: Net.Socket] | [error: Error, socket: null]) => void

/** Opens a tunnel. */
export const openTunnel = (...[options, done]: readonly [TunnelOptions, Done]): void => {
  const { destination: { host }, lookup } = options
  if (lookup === undefined || Net.isIP(host) !== 0) return connectTo(options, host, done)
  lookup(host, {}, (error, address) => {
    if (error !== null) return done(error, null)
    connectTo(options, String(address), done)
  })
}

/** Asks the proxy for a connection to an address or a name. */
const connectTo = (...[options, host, done]: readonly [TunnelOptions, string, Done]): void => {
  const { destination: { port }, proxy, timeout } = options
  const authority = authorityOf({ host, port })
  const fail = (details: { readonly code?: string; readonly status?: number; readonly cause?: unknown }) =>
    done(new ProxyFailed({ proxy: proxy.origin, delivery: "NotSent", ...details }), null)
  const request = (proxy.destination.isSecure ? Https : Http).request({
    host: proxy.destination.host,
    port: proxy.destination.port,
    method: "CONNECT",
    path: authority,
    headers: {
      host: authority,
      ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization })
    },
    agent: false
  })
  let isOver = false
  const timer = setTimeout(() => request.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })), timeout)
  // Each response to CONNECT arrives as this event, a refusal too.
  request.once("connect", ({ statusCode: status = 0 }, socket: Net.Socket, head: Buffer) => {
    clearTimeout(timer)
    isOver = true
    if (status < 200 || status > 299) {
      socket.on("error", () => {}).destroy()
      return fail({ status })
    }
    if (head.length > 0) socket.unshift(head)
    socket.setNoDelay(true).setKeepAlive(true, keepAliveDelay)
    done(null, socket)
  })
  // A listener for as long as the request: an error without one would end this process.
  request.on("error", (cause) => {
    clearTimeout(timer)
    if (isOver) return
    isOver = true
    fail({ code: networkCodeOf({ error: cause }).code ?? cause.name, cause })
  })
  request.end()
}
