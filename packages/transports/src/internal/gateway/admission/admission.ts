/**
 * Admission: decides which HTTP requests the gateway reads, and on behalf of which principal.
 *
 * Pages in a browser can resolve their own name to this machine (DNS rebinding), so the `Host` and the `Origin` of a request have to be known.
 * Tokens of the configuration are compared by their digests in constant time, all of them for each request. Any other token may be an access
 * token. A token is read from the header `Authorization` alone: one in the URL would be in logs.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#token-handling
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import type { IncomingMessage } from "node:http"
import { AccessTokens } from "../../accessTokens/accessTokens.ts"
import { isLoopback } from "../../loopback.ts"
import type { Fork } from "../../scopedFork.ts"
import { settled } from "../http/defects.ts"
import { gatewayStopping, type RpcError } from "../protocol/rpc.ts"
import type { Challenges, Refusal } from "./challenges.ts"

/** On whose behalf a request is made. */
export interface Caller {
  readonly principal: string
  /** When the token of the request ends, in milliseconds since the epoch; `undefined`: never. */
  readonly expiresAt: number | undefined
}

/** The caller of a gateway without tokens. */
const anonymous: Caller = { principal: "anonymous", expiresAt: undefined }

const loopbackNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"])

/** The host of a `Host` header without the port, in small letters; `undefined` if the header is not a host. */
const nameOf = (host: string): string | undefined =>
  /^(\[[\da-f:.]+\]|[^:/?#@\s]+)(?::\d+)?$/i.exec(host)?.[1]?.toLowerCase()

/** How often a request has a header. Of some headers, Node shows only the first. */
const countOf = ({ rawHeaders }: IncomingMessage, header: string): number => {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === header.length && name.toLowerCase() === header) count++
  }
  return count
}

const digestOf = (text: string): Buffer => Crypto.hash("sha256", text, "buffer")

export interface AdmissionOptions {
  readonly host: string
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
  readonly tokens: Readonly<Record<string, Redacted.Redacted<string>>>
  /** The access tokens that are accepted; `undefined`: none. */
  readonly accessTokens: AccessTokens | undefined
  readonly challenges: Challenges
  readonly fork: Fork
}

export class Admission {
  readonly #options: AdmissionOptions
  /** `undefined`: any host. */
  readonly #hosts: ReadonlySet<string> | undefined
  readonly #origins: ReadonlySet<string>
  readonly #isLoopback: boolean
  readonly #principals: ReadonlyArray<readonly [principal: string, digest: Buffer]>

  constructor(options: AdmissionOptions) {
    const { allowedHosts, allowedOrigins, host, tokens } = options
    this.#options = options
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

  /** Whether a request names another host, as one that a page sends to its own name does. */
  refusesHost(request: IncomingMessage): Refusal | undefined {
    const { host = "" } = request.headers
    const name = countOf(request, "host") === 1 ? nameOf(host) : undefined
    return name === undefined || this.#hosts?.has(name) === false
      ? { status: 403, description: "the Host of the request is not allowed" }
      : undefined
  }

  /** Whether a page of another origin has sent the request. */
  refusesOrigin({ headers: { origin } }: IncomingMessage): Refusal | undefined {
    // Node joins several origins, and no allowed one has a comma.
    return origin === undefined || this.#isAllowed(origin)
      ? undefined
      : { status: 403, description: "the Origin of the request is not allowed" }
  }

  /** Finds the caller of a request. `settle` is called once: at once, unless an access token has to be verified first. */
  authenticate(request: IncomingMessage, settle: (verdict: Caller | Refusal) => void): void {
    const { accessTokens, challenges, fork } = this.#options
    if (this.#principals.length === 0 && accessTokens === undefined) return settle(anonymous)
    const { authorization = "" } = request.headers
    if (countOf(request, "authorization") > 1) return settle(challenges.refuse(request, "SeveralTokens"))
    const [, token] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    if (token === undefined) return settle(challenges.refuse(request, "NoToken"))
    const digest = digestOf(token)
    const principal = this.#principalOf(digest)
    if (principal !== undefined) return settle({ principal, expiresAt: undefined })
    if (accessTokens === undefined || !AccessTokens.isCandidate(token)) {
      return settle(challenges.refuse(request, "UnknownToken"))
    }
    const key = digest.toString("base64")
    const known = accessTokens.recall(key)
    if (known !== undefined) return settle(known)
    const onFailure = (error: RpcError) =>
      settle({ status: error === gatewayStopping ? 503 : 500, description: error.message })
    settled({ fork, doing: "verify an access token", onFailure }, {
      effect: Effect.match(accessTokens.verify(token, key), {
        onFailure: ({ fault, scopes }) => challenges.refuse(request, fault, scopes),
        onSuccess: (caller) => caller
      }),
      onValue: settle
    })
  }

  #principalOf(given: Buffer): string | undefined {
    let found: string | undefined
    for (const [principal, digest] of this.#principals) {
      if (Crypto.timingSafeEqual(digest, given)) found = principal
    }
    return found
  }

  #isAllowed(origin: string): boolean {
    if (this.#origins.has(origin)) return true
    const url = this.#isLoopback ? URL.parse(origin) : null
    return url !== null && url.origin === origin && loopbackNames.has(url.hostname)
  }
}
