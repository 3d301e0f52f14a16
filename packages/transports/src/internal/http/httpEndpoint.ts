/**
 * Knows where one MCP endpoint is and which headers its requests carry: those of the definition, the session id, the revision.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import { appendRequestHeaders, revisionOf } from "../modern/requestHeaders.ts"
import type { ToolHeaders } from "../modern/toolHeaders.ts"
import { type Refusal, type Target, targetOf } from "./httpExchange.ts"

/** How many redirects of one request are followed. */
const redirectLimit = 3

/** Headers that the transport writes itself, whatever a definition says. */
const reserved = new Set([
  "accept",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id"
])

/** Makes a flat list of the headers of a definition. Endpoints share it. */
export const givenHeaders = (headers: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.entries(headers).filter(([name]) => !reserved.has(name.toLowerCase())).flat()

/**
 * Returns where a redirect leads to, if it is followed: the request is to be sent again, to there. Only statuses that say that nothing was
 * done and that keep the method are followed, within the origin: headers of the definition are meant for it alone.
 */
export const redirectOf = (options: {
  readonly refusal: Pick<Refusal, "location" | "status">
  readonly from: Target
  /** How many redirects of the request were followed. */
  readonly redirects: number
}): Target | undefined => {
  const { from: { url: base }, redirects, refusal: { location, status } } = options
  if ((status !== 307 && status !== 308) || location === undefined || redirects >= redirectLimit) return undefined
  const url = URL.canParse(location, base.href) ? new URL(location, base) : undefined
  return url?.origin === base.origin ? targetOf(url) : undefined
}

/** The longest session id, in characters. Servers take some 16,000 characters of headers in all. */
const sessionIdLimit = 4096

/**
 * Whether the value of a header is a session id, or empty.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 */
export const isSessionId = (value: string): boolean => value.length <= sessionIdLimit && /^[\x21-\x7e]*$/.test(value)

export class HttpEndpoint {
  readonly #given: ReadonlyArray<string>
  #target: Target
  #sessionId: string | undefined
  #protocolVersion: string | undefined
  #postHeaders: Array<string> | undefined

  constructor(options: { readonly target: Target; readonly given: ReadonlyArray<string> }) {
    this.#target = options.target
    this.#given = options.given
  }

  get target(): Target {
    return this.#target
  }

  get sessionId(): string | undefined {
    return this.#sessionId
  }

  /** Takes the id that a server gives a session. A server that gives none has no sessions. */
  set sessionId(id: string | undefined) {
    this.#sessionId = id === "" ? undefined : id
    this.#postHeaders = undefined
  }

  get protocolVersion(): string | undefined {
    return this.#protocolVersion
  }

  set protocolVersion(version: string | undefined) {
    this.#protocolVersion = version
    this.#postHeaders = undefined
  }

  /** The headers of a message. Shared between messages of the legacy era, so they must not be changed. */
  headersOf(message: JSONRPCRequest | undefined, tools: ToolHeaders): Array<string> {
    const isModern = message !== undefined && revisionOf(message) !== undefined
    if (!isModern) return this.#postHeaders ??= this.#headers({ hasBody: true, protocolVersion: this.#protocolVersion })
    const headers = this.#headers({ hasBody: true, protocolVersion: undefined })
    appendRequestHeaders({ to: headers, message, tools })
    return headers
  }

  /** The headers of a request without a body. */
  bareHeaders(...further: ReadonlyArray<string>): Array<string> {
    return [...this.#headers({ hasBody: false, protocolVersion: this.#protocolVersion }), ...further]
  }

  /** Follows a redirect. `true`: the request is to be sent again, to the target that is in force from now on. */
  follow(refusal: Refusal, redirects: number): boolean {
    const target = redirectOf({ refusal, from: this.#target, redirects })
    if (target !== undefined) this.#target = target
    return target !== undefined
  }

  #headers(
    options: { readonly hasBody: boolean; readonly protocolVersion: string | undefined }
  ): Array<string> {
    const headers = [...this.#given]
    if (options.hasBody) {
      headers.push("accept", "application/json, text/event-stream", "content-type", "application/json")
    }
    if (this.#sessionId !== undefined) headers.push("mcp-session-id", this.#sessionId)
    if (options.protocolVersion !== undefined) headers.push("mcp-protocol-version", options.protocolVersion)
    return headers
  }
}
