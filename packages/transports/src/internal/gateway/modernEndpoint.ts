/**
 * Modern endpoint: requests of revision 2026-07-28. They have no session: each says in its `_meta` who its client is and what it can do.
 *
 * At a server that keeps state, the clients of one principal that can do the same share a session, because nothing tells them apart.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Crypto from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { metaKeys } from "../modern/requestMeta.ts"
import type { Catalog } from "./catalog.ts"
import { type ClientCapabilities, type ClientSession, modernRevision } from "./clientSession.ts"
import type { Dispatcher } from "./dispatcher.ts"
import type { EventStreams } from "./eventStreams.ts"
import { refuse } from "./http.ts"
import { methods } from "./methods.ts"
import { ModernCall } from "./modernCall.ts"
import { listen } from "./modernListen.ts"
import { PostReply } from "./postReply.ts"
import type { Quotas } from "./quotas.ts"
import { codes, encodeError, encodeResult, RpcError } from "./rpc.ts"
import type { SealedIds } from "./sealedIds.ts"
import type { Exchange, Router } from "./seat.ts"

const errorCodes = { headerMismatch: -32_020, unsupportedVersion: -32_022 } as const

/** The parameter that `Mcp-Name` repeats, by method. */
const nameOf: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"]
])

/** The methods of the revision that the gateway handles as those before it, and whether clients may cache their results. */
const served: ReadonlyMap<string, { readonly isCacheable: boolean }> = new Map([
  ["tools/list", { isCacheable: true }],
  ["tools/call", { isCacheable: false }],
  ["resources/list", { isCacheable: true }],
  ["resources/templates/list", { isCacheable: true }],
  ["resources/read", { isCacheable: true }],
  ["prompts/list", { isCacheable: true }],
  ["prompts/get", { isCacheable: false }],
  ["completion/complete", { isCacheable: false }]
])

/** Results may not be used again: `list_changed` tells a client only while it listens. */
const uncached = { ttlMs: 0, cacheScope: "private" } as const

const serverInfoKey = "io.modelcontextprotocol/serverInfo"

const capabilities = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {}
}

/** Decodes a header that holds unsafe text as Base64. */
const decoded = (header: string): string => {
  const [, base64] = /^=\?base64\?([A-Za-z\d+/=]*)\?=$/.exec(header) ?? []
  return base64 === undefined ? header : Buffer.from(base64, "base64").toString("utf8")
}

const metaOf = ({ params }: Pick<JSONRPCRequest, "params">): Readonly<Record<string, unknown>> =>
  Predicate.isObject(params?._meta) ? params._meta : {}

/** Whether a request is of this revision or a later one, by its body or by its header. */
export const isModern = ({ headers }: IncomingMessage, message: JSONRPCRequest): boolean =>
  headers["mcp-protocol-version"] === modernRevision || metaOf(message)[metaKeys.protocolVersion] !== undefined

export interface ModernOptions {
  readonly catalog: Catalog
  readonly dispatcher: Dispatcher
  readonly quotas: Quotas
  readonly router: Router
  readonly streams: EventStreams
  /** Seals the keys of calls that wait for answers. */
  readonly states: SealedIds
  readonly serverInfo: { readonly name: string; readonly version: string }
  /** The path of the endpoint. */
  readonly route: string
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** A POST with one request. */
interface Arrived extends Exchange {
  readonly message: JSONRPCRequest
}

export class ModernEndpoint {
  readonly #options: ModernOptions

  constructor(options: ModernOptions) {
    this.#options = options
  }

  /** Handles a request. */
  handle(exchange: Exchange, message: JSONRPCRequest): void {
    const arrived = { ...exchange, message }
    const { message: { id, method }, principal, response } = arrived
    const mismatch = this.#mismatchOf(arrived)
    if (mismatch !== undefined) return refuse(response, { status: 400, id, error: mismatch })
    if (method === "server/discover") return this.#discover(arrived)
    if (!served.has(method) && method !== "subscriptions/listen") {
      const error = new RpcError({ code: codes.methodNotFound, message: `unknown method ${method}` })
      return refuse(response, { status: 404, id, error })
    }
    const { fork, quotas, router } = this.#options
    const limit = () => {
      const error = new RpcError({ code: codes.limited, message: "too many requests or sessions" })
      refuse(response, { status: 429, id, error, headers: { "retry-after": "1" } })
    }
    if (!quotas.begin(principal)) return limit()
    const parts = { principal, capabilities: this.#capabilitiesOf(arrived), protocolVersion: modernRevision }
    fork(router.modern(parts, { isAnywhere: false })).addObserver((exit) => {
      const seat = Exit.isSuccess(exit) ? exit.value : undefined
      if (seat === undefined) {
        quotas.end(principal)
        return limit()
      }
      seat.use(exchange, (client) => this.serve(client, exchange, message))
    })
  }

  /** Handles a request with a session of this process. */
  serve(client: ClientSession, exchange: Exchange, message: JSONRPCRequest): void {
    client.touch()
    if (message.method !== "subscriptions/listen") return this.#run(client, { ...exchange, message })
    // A stream that stays open is not a request in flight.
    exchange.onEnd()
    listen({ ...this.#options, client, response: exchange.response, message })
  }

  /** What a request declares, without what no server is told. */
  #capabilitiesOf({ message }: Arrived): ClientCapabilities {
    const { elicitation, roots, sampling } = metaOf(message)[metaKeys.clientCapabilities] as ClientCapabilities
    return {
      ...(sampling === undefined ? {} : { sampling: {} }),
      ...(elicitation === undefined ? {} : {
        elicitation: {
          ...(elicitation.form === undefined ? {} : { form: {} }),
          ...(elicitation.url === undefined ? {} : { url: {} })
        }
      }),
      ...(roots === undefined ? {} : { roots: {} })
    }
  }

  /** Headers that say something else than the body may have been read by a proxy in between. */
  #mismatchOf({ message, request }: Arrived): RpcError | undefined {
    const { method, params } = message
    const meta = metaOf(message)
    const revision = meta[metaKeys.protocolVersion]
    if (!Predicate.isString(revision) || !Predicate.isObject(meta[metaKeys.clientCapabilities])) {
      const message = "_meta lacks the protocol version or the capabilities of the client"
      return new RpcError({ code: codes.invalidParams, message })
    }
    const key = nameOf.get(method)
    const expected = {
      "mcp-protocol-version": revision,
      "mcp-method": method,
      ...(key === undefined ? {} : { "mcp-name": params?.[key] })
    }
    for (const [name, value] of Object.entries(expected)) {
      const header = request.headers[name]
      if (!Predicate.isString(header) || decoded(header) !== value) {
        return new RpcError({ code: errorCodes.headerMismatch, message: `the header ${name} is not that of the body` })
      }
    }
    if (revision === modernRevision) return undefined
    const data = { supported: [modernRevision], requested: revision }
    return new RpcError({ code: errorCodes.unsupportedVersion, message: "Unsupported protocol version", data })
  }

  #discover({ message: { id }, request, response }: Arrived): void {
    const { catalog: { instructions }, serverInfo, streams } = this.#options
    const reply = new PostReply({
      response,
      streams,
      acceptsStream: false,
      headers: {},
      requests: 1,
      isBatch: false,
      onEnd: () => {}
    })
    request.resume()
    reply.settle(encodeResult(id, {
      resultType: "complete",
      supportedVersions: [modernRevision],
      capabilities,
      ...(instructions === undefined ? {} : { instructions }),
      ...uncached,
      _meta: { [serverInfoKey]: serverInfo }
    }))
  }

  #run(
    client: ClientSession,
    { message: { id, method, params = {} }, onEnd, principal, response }: Arrived
  ): void {
    const { dispatcher, route, states, streams } = this.#options
    const reply = new PostReply({
      response,
      streams,
      acceptsStream: true,
      headers: {},
      requests: 1,
      isBatch: false,
      onEnd
    })
    const token = (params._meta as { readonly progressToken?: unknown } | undefined)?.progressToken
    const progressToken = Predicate.isString(token) || Predicate.isNumber(token) ? token : undefined
    const { inputResponses, requestState } = params
    if (requestState !== undefined || inputResponses !== undefined) {
      const key = states.open(String(requestState), { principal, route })
      const parked = key === undefined ? undefined : client.calls.get(key)
      if (!(parked instanceof ModernCall) || !parked.isParked || !Predicate.isObject(inputResponses)) {
        const error = new RpcError({ code: codes.invalidParams, message: "the requestState is not known, or over" })
        return reply.settle(encodeError(id, error))
      }
      this.#attend(parked, response)
      return parked.proceed({ id, progressToken, reply, answers: inputResponses as Record<string, unknown> })
    }
    const handle = methods.get(method)
    if (handle === undefined) {
      return reply.settle(encodeError(id, new RpcError({ code: codes.methodNotFound, message: method })))
    }
    const key = Crypto.randomUUID()
    const state = states.seal(key, { principal, route })
    const call = new ModernCall({ key, state, id, progressToken, reply })
    client.calls.set(key, call)
    this.#attend(call, response)
    dispatcher.start({
      client,
      call,
      method,
      params,
      handled: handle({ offer: client.lists.offer, client, call, params }),
      onEnd: (exit) => {
        client.calls.delete(key)
        const result = Exit.map(exit, (value) => ({
          resultType: "complete",
          ...(value as object),
          ...(served.get(method)?.isCacheable === true ? uncached : {}),
          _meta: { ...(value as { readonly _meta?: object })._meta, [serverInfoKey]: this.#options.serverInfo }
        }))
        call.settle(dispatcher.encode(call.id, method, result))
      }
    })
  }

  /** A client that ends the response before it is whole has cancelled the request. */
  #attend(call: ModernCall, response: ServerResponse): void {
    response.once("close", () => {
      if (!response.writableEnded && !call.isParked) call.fiber?.interruptUnsafe()
    })
  }
}
