/**
 * The HTTP requests of an authorization: to metadata, registration, token and revocation endpoints.
 *
 * All of these URLs come from servers. Each one, and each redirect that the SDK follows, has to pass the address policy of the definition and
 * to use https, or http on loopback. Time and size are bounded. The last response is remembered, because an error has to name it.
 */
import { BlockedAddress, ProxyFailed, TlsFailed } from "@mcp-sessions/core/SessionError"
import type { FetchLike } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import type { HttpConnections, HttpRequest } from "../../HttpClient.ts"
import { isLoopback } from "../loopback.ts"
import { isDialable } from "../network/addressPolicy.ts"
import { destinationOf } from "../network/destination.ts"
import { causesOf } from "../network/networkFailure.ts"
import { readWhole } from "../network/wholeResponse.ts"

/** How long one request may take, in milliseconds. */
const requestTimeout = 10_000

/** How many bytes of a body are read. Documents and tokens have some kilobytes. */
const bodyLimit = 1024 * 1024

/** The last URL that was requested, without its query, and the status of its response; `undefined`: there was none. */
export interface Contact {
  readonly url: string
  readonly status: number | undefined
  /** `Retry-After` of a response that says that the server has too much to do. */
  readonly retryAfter?: string | undefined
}

/** The longest `Retry-After` that is read: dates have 29 characters. */
const retryAfterLength = 64

/** Statuses of a server that has too much to do. */
const busy = new Set([429, 503])

/** A request got no response, or was not to be made. A `TypeError`, as the SDK takes only those for failures of the network. */
export class FetchFailed extends TypeError {
  readonly contact: Contact
  /** Whether another attempt may help. */
  readonly isTransient: boolean

  constructor(options: {
    readonly contact: Contact
    readonly isTransient: boolean
    readonly description: string
    readonly cause?: unknown
  }) {
    super(options.description, { cause: options.cause })
    this.contact = options.contact
    this.isTransient = options.isTransient
  }
}

/** Whether a URL of an authorization may be used: what goes there is not for others to read. */
export const isConfidential = (url: URL): boolean =>
  url.protocol === "https:" || url.protocol === "http:" && isLoopback(destinationOf(url).host)

const isBlockedAddress = Schema.is(BlockedAddress)
const isDialFailed = Schema.is(Schema.Union([ProxyFailed, TlsFailed]))

/** Statuses whose responses have no body. A `Response` refuses one. */
const bodiless = new Set([204, 205, 304])

export class OAuthFetch {
  readonly #connections: () => Promise<HttpConnections>
  readonly #addresses: "any" | "public"
  #last: Contact | undefined

  constructor(options: {
    readonly connections: () => Promise<HttpConnections>
    readonly addresses: "any" | "public"
  }) {
    this.#connections = options.connections
    this.#addresses = options.addresses
  }

  /** The last request and its response. */
  get last(): Contact | undefined {
    return this.#last
  }

  readonly fetch: FetchLike = async (input, init) => {
    const url = new URL(input)
    // Other schemes have no origin.
    const place = url.origin === "null" ? url.protocol : url.origin + url.pathname
    this.#last = { url: place, status: undefined }
    const refuse = (description: string, cause?: unknown): never => {
      throw new FetchFailed({ contact: { url: place, status: undefined }, isTransient: false, description, cause })
    }
    if (!isConfidential(url)) refuse("the URL is neither https nor on loopback")
    if (!isDialable({ addresses: this.#addresses, url: url.href })) refuse("the address policy forbids the host")
    try {
      const { body, headers, status } = await readWhole({
        connections: await this.#connections(),
        timeout: requestTimeout,
        maxBytes: bodyLimit,
        request: {
          origin: url.origin,
          path: url.pathname + url.search,
          method: (init?.method ?? "GET") as HttpRequest["method"],
          headers: [...new Headers(init?.headers)].flat(),
          body: init?.body === undefined || init.body === null ? null : String(init.body),
          isStream: false
        }
      })
      const [retryAfter] = [headers["retry-after"] ?? []].flat()
      this.#last = {
        url: place,
        status,
        ...(busy.has(status) && retryAfter !== undefined ? { retryAfter: retryAfter.slice(0, retryAfterLength) } : {})
      }
      const flat = Object.entries(headers).flatMap(([name, value]): Array<[string, string]> =>
        value === undefined ? [] : [value].flat().map((one) => [name, one])
      )
      return new Response(bodiless.has(status) ? null : Uint8Array.from(body), { status, headers: flat })
    } catch (cause) {
      if (cause instanceof FetchFailed) throw cause
      const reasons = causesOf(cause)
      const isBlocked = reasons.some(isBlockedAddress)
      const dialFailed = reasons.find(isDialFailed)
      throw new FetchFailed({
        contact: { url: place, status: undefined },
        isTransient: dialFailed?.isRetryable ?? !isBlocked,
        description: dialFailed?.message ??
          (isBlocked ? "the address policy forbids the host" : "no usable response came"),
        cause
      })
    }
  }
}
