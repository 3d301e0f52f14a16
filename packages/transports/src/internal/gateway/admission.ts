/**
 * Admission: decides which HTTP requests the gateway reads, and on behalf of which principal.
 *
 * Pages in a browser can resolve their own name to this machine (DNS rebinding), so the `Host` and the `Origin` of a request have to be known.
 * Tokens are compared by their digests in constant time, all of them for each request.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
 */
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import type { IncomingMessage } from "node:http"

/** A request that is not admitted. */
export interface Refusal {
  readonly status: 401 | 403
  readonly description: string
}

/** The principal of requests to a gateway without tokens. */
const anonymous = "anonymous"

const loopbackNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"])

/** Whether an address is reached from this machine only. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** The host of a `Host` header without the port, in small letters; `undefined` if the header is not a host. */
const nameOf = (host: string): string | undefined =>
  /^(\[[\da-f:.]+\]|[^:/?#@\s]+)(?::\d+)?$/i.exec(host)?.[1]?.toLowerCase()

/** Whether a request has a header once. Of some headers, Node shows only the first. */
const isOnce = ({ rawHeaders }: IncomingMessage, header: string): boolean => {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === header.length && name.toLowerCase() === header) count++
  }
  return count === 1
}

const digestOf = (text: string): Buffer => Crypto.createHash("sha256").update(text).digest()

export class Admission {
  /** `undefined`: any host. */
  readonly #hosts: ReadonlySet<string> | undefined
  readonly #origins: ReadonlySet<string>
  readonly #isLoopback: boolean
  readonly #principals: ReadonlyArray<readonly [principal: string, digest: Buffer]>

  constructor({ allowedHosts, allowedOrigins, host, tokens }: {
    readonly host: string
    readonly allowedHosts: ReadonlyArray<string>
    readonly allowedOrigins: ReadonlyArray<string>
    readonly tokens: Readonly<Record<string, Redacted.Redacted<string>>>
  }) {
    this.#isLoopback = isLoopback(host)
    const hosts = allowedHosts.map((name) => name.toLowerCase())
    this.#hosts = this.#isLoopback
      ? new Set([...loopbackNames, host, ...hosts])
      : hosts.length === 0
      ? undefined
      : new Set(hosts)
    this.#origins = new Set(allowedOrigins)
    this.#principals = Object.entries(tokens).map(([principal, token]) => [principal, digestOf(Redacted.value(token))])
  }

  /** Whether a page or a program of another name may have sent the request. */
  refuses(request: IncomingMessage): Refusal | undefined {
    const { host = "", origin } = request.headers
    const name = isOnce(request, "host") ? nameOf(host) : undefined
    if (name === undefined || this.#hosts?.has(name) === false) {
      return { status: 403, description: "the Host of the request is not allowed" }
    }
    // Node joins several origins, and no allowed one has a comma.
    return origin === undefined || this.#isAllowed(origin)
      ? undefined
      : { status: 403, description: "the Origin of the request is not allowed" }
  }

  /** The principal on whose behalf a request is made. */
  principal(request: IncomingMessage): string | Refusal {
    if (this.#principals.length === 0) return anonymous
    const { authorization = "" } = request.headers
    const [, token = ""] = isOnce(request, "authorization") ? /^bearer +(\S+)$/i.exec(authorization) ?? [] : []
    const given = digestOf(token)
    let found: string | undefined
    for (const [principal, digest] of this.#principals) {
      if (Crypto.timingSafeEqual(digest, given)) found = principal
    }
    return found ?? { status: 401, description: "the request needs a bearer token" }
  }

  #isAllowed(origin: string): boolean {
    if (this.#origins.has(origin)) return true
    const url = this.#isLoopback ? URL.parse(origin) : null
    return url !== null && url.origin === origin && loopbackNames.has(url.hostname)
  }
}
