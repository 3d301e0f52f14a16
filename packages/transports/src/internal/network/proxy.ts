/**
 * Chooses the proxy of a connection: the one that a definition names, or that of the environment.
 *
 * **Details**
 *
 * The environment names proxies as it does for curl and Node: `http_proxy` for http and ws, `https_proxy` for https and wss, lower case first,
 * and `no_proxy` for hosts that need none. Loopback needs none either. `HTTP_PROXY` is ignored in a CGI program, where anyone can set it by a
 * header.
 *
 * @see https://www.cve.org/CVERecord?id=CVE-2016-5385
 */
import type { RemoteServerOptions } from "@mcp-sessions/core/ServerConfig"
import { ProxyFailed } from "@mcp-sessions/core/SessionError"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"
import { isLoopback } from "../loopback.ts"
import { type Destination, destinationOf } from "./destination.ts"
import { needsNoProxy } from "./noProxy.ts"

/** A proxy that connections go through. */
export interface Proxy {
  /** Where it is, without credentials. */
  readonly origin: string
  readonly destination: Destination
  /** The value of `Proxy-Authorization`; `undefined` without credentials. */
  readonly authorization: string | undefined
}

/** The variables of a process. */
export interface Environment {
  readonly [name: string]: string | undefined
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Returns the proxy at a URL. Without a scheme, the URL is one of http. */
const proxyAt = (text: string): Proxy | undefined => {
  const whole = text.includes("://") ? text : `http://${text}`
  if (!URL.canParse(whole)) return undefined
  const url = new URL(whole)
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`
  return {
    origin: url.origin,
    destination: destinationOf(url),
    authorization: credentials === ":" ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`
  }
}

const invalid = (name: string): ProxyFailed =>
  new ProxyFailed({ proxy: name, code: "ERR_INVALID_URL", delivery: "NotSent" })

/** Returns the variable that names the proxy of a destination, and its value. */
const variableFor = (
  ...[{ isSecure }, env]: readonly [Destination, Environment]
): readonly [name: string, value: string] | undefined => {
  const names = isSecure
    ? ["https_proxy", "HTTPS_PROXY"]
    : env.REQUEST_METHOD === undefined
    ? ["http_proxy", "HTTP_PROXY"]
    : ["http_proxy"]
  const name = names.find((name) => env[name] !== undefined)
  const value = name === undefined ? undefined : env[name]
  return name === undefined || value === undefined || value === "" ? undefined : [name, value]
}

/**
 * Returns the proxy for a destination; `undefined`: it is dialled directly. Fails if the proxy of the environment is not one that can be used:
 * to dial directly instead would show the destination to a network that it was to be hidden from.
 */
export const proxyFor = (options: {
  readonly destination: Destination
  readonly proxy: RemoteServerOptions["proxy"]
  readonly env: Environment
}): Proxy | ProxyFailed | undefined => {
  const { destination, env, proxy } = options
  if (proxy === "none") return undefined
  if (proxy !== "environment") return proxyAt(Redacted.value(proxy)) ?? invalid("proxy")
  if (isLoopback(destination.host) || needsNoProxy(destination, env.no_proxy ?? env.NO_PROXY ?? "")) return undefined
  const variable = variableFor(destination, env)
  if (variable === undefined) return undefined
  const [name, value] = variable
  return proxyAt(value) ?? invalid(name)
}
