/**
 * Reads one `Set-Cookie` header, and checks that its server may set the cookie.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-5.2
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix the prefixes of names
 */
import * as Net from "node:net"
import { parseCookieDate } from "./cookieDate.ts"

/** A cookie as its server set it. */
export interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
  readonly isSecure: boolean
  /** How long it lasts, in milliseconds; `undefined`: as long as the connection. */
  readonly lifetime: number | undefined
}

/** How long name and value may be together, in characters. */
const cookieLimit = 4096

/** The folder of a path, which is the path of cookies that name none. */
const folderOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")))

/** Reads the attributes, of which the last of a name counts. */
const attributesOf = (parts: ReadonlyArray<string>): ReadonlyMap<string, string> =>
  new Map(parts.map((part) => {
    const [name = "", ...rest] = part.split("=")
    return [name.trim().toLowerCase(), rest.join("=").trim()]
  }))

const lifetimeOf = (attributes: ReadonlyMap<string, string>, timeOfDay: number): number | undefined => {
  const maxAge = attributes.get("max-age")
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) * 1000
  const expires = parseCookieDate(attributes.get("expires") ?? "")
  return expires === undefined ? undefined : expires - timeOfDay
}

/** Whether a cookie of a domain may come from a host: the domain is the host itself, or a part of its end. */
const isDomainOf = (...[host, domain]: readonly [string, string]): boolean =>
  domain === "" || host === domain || Net.isIP(host) === 0 && host.endsWith(`.${domain}`)

/** Whether the promise that a prefix of the name makes is kept. */
const keepsPrefix = (name: string, cookie: {
  readonly isSecure: boolean
  readonly domain: string
  readonly path: string | undefined
}): boolean => {
  const lower = name.toLowerCase()
  if (lower.startsWith("__host-")) return cookie.isSecure && cookie.domain === "" && cookie.path === "/"
  return !lower.startsWith("__secure-") || cookie.isSecure
}

/** Returns the cookie of a header; `undefined`: it is not to be kept. */
export const parseSetCookie = (options: {
  readonly header: string
  /** The URL of the request that the header is the response to. */
  readonly url: URL
  /** The time of day, in milliseconds since the epoch. */
  readonly timeOfDay: number
}): Cookie | undefined => {
  const { header, timeOfDay, url } = options
  const [pair = "", ...rest] = header.split(";")
  const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(pair) ?? []
  const cookie = { name: name.trim(), value: value.trim() }
  // Other characters than these cannot be sent back as they came.
  const isPlain = /^[\x20-\x7e]*$/.test(cookie.name + cookie.value)
  if (cookie.name === "" || !isPlain || cookie.name.length + cookie.value.length > cookieLimit) return undefined
  const attributes = attributesOf(rest)
  const path = attributes.get("path")
  const domain = (attributes.get("domain") ?? "").replace(/^\./, "").toLowerCase()
  const isSecure = attributes.has("secure")
  if (!isDomainOf(url.hostname, domain) || isSecure && url.protocol !== "https:") return undefined
  if (!keepsPrefix(cookie.name, { isSecure, domain, path })) return undefined
  return {
    ...cookie,
    path: path?.startsWith("/") === true ? path : folderOf(url.pathname),
    isSecure,
    lifetime: lifetimeOf(attributes, timeOfDay)
  }
}
