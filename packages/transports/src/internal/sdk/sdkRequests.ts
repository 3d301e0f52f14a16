/**
 * Requests of the modern era, sent by the SDK's client.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 */
import type { Connection, OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import { type CloseReason, type RequestReason, TransportClosed } from "@mcp-sessions/core/SessionError"
import {
  type Client,
  LOG_LEVEL_META_KEY,
  type RequestOptions,
  type StandardSchemaV1
} from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { ResultChecks } from "../jsonRpc/directRequests.ts"
import type { EndReason } from "../jsonRpc/engineChannel.ts"
import { InFlightTable } from "../jsonRpc/inFlightTable.ts"
import { noTimeout } from "./negotiate.ts"

/** Results are typed for the reader, not parsed: a pass over every result would cost more than the rest of the call. */
const unparsed: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "mcp-sessions", validate: (value) => ({ value }) }
}

export class SdkRequests {
  readonly #client: Client
  readonly #kind: Connection["kind"]
  readonly #checks: ResultChecks
  readonly #reasonOf: (error: unknown, method: string) => RequestReason
  /** Requests in flight. Their ids here are not those on the wire, which the client keeps to itself. */
  readonly #table = new InFlightTable()
  readonly #aborts = new Map<OutgoingRequest, AbortController>()
  logLevel: LogLevel | undefined

  constructor(options: {
    readonly client: Client
    readonly kind: Connection["kind"]
    readonly checks: ResultChecks
    readonly reasonOf: (error: unknown, method: string) => RequestReason
  }) {
    this.#client = options.client
    this.#kind = options.kind
    this.#checks = options.checks
    this.#reasonOf = options.reasonOf
  }

  send(request: OutgoingRequest): void {
    const refusal = this.#checks.before(request)
    if (refusal !== undefined) return request.settle(Exit.fail(refusal))
    if (this.#table.add(request) === undefined) return
    const { method, onProgress } = request
    const abort = new AbortController()
    this.#aborts.set(request, abort)
    const params = this.logLevel === undefined ? request.params : withLogLevel(request.params, this.logLevel)
    // The client does not say when it writes, so the request may have been written from here on.
    request.isWritten = true
    this.#send(method, params, {
      signal: abort.signal,
      timeout: noTimeout,
      ...(onProgress === undefined ? {} : { onprogress: onProgress })
    }).then(
      (result) => {
        const fault = this.#checks.after(request, result)
        this.#settle(request, fault === undefined ? Exit.succeed(result) : Exit.fail(fault))
      },
      (error: unknown) => this.#settle(request, Exit.fail(this.#reasonOf(error, method)))
    )
  }

  cancel(request: OutgoingRequest): void {
    if (!this.#table.remove(request)) return
    this.#aborts.get(request)?.abort()
    this.#aborts.delete(request)
  }

  failAll(end: EndReason): CloseReason {
    this.#aborts.clear()
    return this.#table.failAll(end)
  }

  #settle(request: OutgoingRequest, outcome: Exit.Exit<unknown, RequestReason>): void {
    if (!this.#table.remove(request)) return
    this.#aborts.delete(request)
    request.settle(outcome)
  }

  /** Modern HTTP servers enforce headers that the SDK derives from tool schemas, so its own methods have to be used there. */
  #send(
    method: string,
    params: Record<string, unknown> | undefined,
    options: RequestOptions
  ): Promise<unknown> {
    const client = this.#client
    if (this.#kind === "streamable_http") {
      if (method === "tools/call" && typeof params?.name === "string") {
        return client.callTool({ ...params, name: params.name }, options)
      }
      // The client must not answer from its cache: core decides whether a list is still valid.
      if (method === "tools/list" && params?.cursor === undefined) {
        return client.listTools(params, { ...options, cacheMode: "refresh" })
      }
    }
    return client.request(params === undefined ? { method } : { method, params }, unparsed, options)
  }
}

/** Fails a request on a connection that is not initialized. */
export const refuse = (request: OutgoingRequest): void =>
  request.settle(Exit.fail(new TransportClosed({ delivery: "NotSent" })))

/**
 * In the modern era each request says which log messages are wanted while it is in flight.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/logging
 */
const withLogLevel = (params: Record<string, unknown> | undefined, level: LogLevel): Record<string, unknown> => ({
  ...params,
  _meta: { ...(Predicate.isObject(params?._meta) ? params._meta : {}), [LOG_LEVEL_META_KEY]: level }
})
