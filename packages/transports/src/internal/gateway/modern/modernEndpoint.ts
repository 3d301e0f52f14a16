/**
 * Modern endpoint: requests of revision 2026-07-28 over HTTP. They have no session: the `_meta` of each request has the client info and the client capabilities.
 *
 * At a server that keeps state, clients of the same principal with the same capabilities share a session, because they cannot be distinguished.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Fork } from "../../scopedFork.ts"
import { textOrEmpty } from "../../textOrEmpty.ts"
import type { Quotas } from "../admission/quotas.ts"
import { PostReply } from "../call/postReply.ts"
import type { Catalog } from "../catalog/catalog.ts"
import { interrupt } from "../client/clientCall.ts"
import { type ClientSession, modernRevision } from "../client/clientSession.ts"
import type { Exchange, Router } from "../client/sessionLocation.ts"
import { declaresTasks } from "../client/taskRequests.ts"
import type { Tasks } from "../client/tasks.ts"
import { settled } from "../http/defects.ts"
import { answerFailure, answerJson, onClosed, refuse } from "../http/http.ts"
import { codes, encodeResult, RpcError, tooManySessions } from "../protocol/rpc.ts"
import type { EventStreams } from "../streams/eventStreams.ts"
import type { ModernCall } from "./modernCall.ts"
import { headerFaultOf, paramFaultOf } from "./modernHeaders.ts"
import { listen } from "./modernListen.ts"
import {
  capabilitiesOf,
  discovered,
  isOfTask,
  isServed,
  metaFaultOf,
  revisionOf,
  taskFaultOf,
  versionFaultOf
} from "./modernMessage.ts"
import { ModernRequests, type ModernRequestsOptions } from "./modernRequests.ts"

/** Whether a request is of this revision or a later one, by its body or by its header. */
export const isModern = ({ headers }: Pick<IncomingMessage, "headers">, message: JSONRPCRequest): boolean =>
  headers["mcp-protocol-version"] === modernRevision || revisionOf(message) !== undefined

export interface ModernOptions extends ModernRequestsOptions {
  readonly catalog: Catalog
  readonly quotas: Quotas
  readonly router: Router
  readonly tasks: Tasks
  /** Whether a server keeps nothing for a session. */
  readonly isStateless: (server: string) => boolean
  readonly streams: EventStreams
  readonly fork: Fork
}

export class ModernEndpoint {
  readonly #options: ModernOptions
  readonly #requests: ModernRequests

  constructor(options: ModernOptions) {
    this.#options = options
    this.#requests = new ModernRequests(options)
  }

  /** Handles a request. `here` handles it with a session of this process. */
  handle(
    ...[exchange, message, here]: readonly [
      exchange: Exchange,
      message: JSONRPCRequest,
      here: (client: ClientSession, exchange: Exchange) => void
    ]
  ): void {
    const { onEnd, principal, request: { headers }, response } = exchange
    const { id, method } = message
    const answer = (status: number, error: RpcError) => {
      onEnd()
      refuse(response, { status, id, error })
    }
    const fault = metaFaultOf(message) ?? headerFaultOf({ headers, message }) ?? versionFaultOf(message)
    if (fault !== undefined) return answer(400, fault)
    if (method === "server/discover") {
      onEnd()
      return answerJson(response, { status: 200, body: encodeResult(id, discovered(this.#options)) })
    }
    if (!isServed(method, this.#options.tasks)) {
      return answer(404, new RpcError({ code: codes.methodNotFound, message: `unknown method ${method}` }))
    }
    const undeclared = taskFaultOf(message)
    if (undeclared !== undefined) return answer(400, undeclared)
    const { fork, router, tasks } = this.#options
    const parts = { principal, capabilities: capabilitiesOf(message), protocolVersion: modernRevision }
    const owner = isOfTask(method) ? tasks.ownerOf(message.params?.taskId, principal) : undefined
    const onFailure = (error: RpcError) => {
      onEnd()
      answerFailure(response, error, id)
    }
    settled({ fork, doing: `find a session for ${method}`, onFailure }, {
      effect: router.modern(parts, { isAnywhere: this.#isAnywhere(message), owner }),
      onValue: (location) => location === undefined ? answer(429, tooManySessions) : location.use(exchange, here)
    })
  }

  /** Whether a request needs nothing that a server keeps for a session. */
  #isAnywhere(message: JSONRPCRequest): boolean {
    const { method, params = {} } = message
    const { catalog, isStateless } = this.#options
    const { offer } = catalog
    const tool = method === "tools/call" ? offer.tool(textOrEmpty(params.name)) : undefined
    // The state of a task is on one node.
    if (tool !== undefined && declaresTasks(message) && catalog.mayBeTask(tool)) return false
    const server = tool !== undefined
      ? tool.server
      : method === "prompts/get"
      ? offer.prompt(textOrEmpty(params.name))?.server
      : method === "resources/read"
      ? offer.serverOf(textOrEmpty(params.uri))
      : undefined
    return method.endsWith("/list") || (server !== undefined && isStateless(server))
  }

  /** Handles a request with a session of this process. */
  serve(client: ClientSession, exchange: Exchange, message: JSONRPCRequest): void {
    const { onEnd, principal, request: { headers }, response } = exchange
    const { id, method, params } = message
    client.touch()
    if (method === "subscriptions/listen") {
      // A stream that stays open is not a request in flight.
      onEnd()
      return this.#listen(client, response, message)
    }
    const tool = method === "tools/call" ? client.lists.offer.tool(textOrEmpty(params?.name)) : undefined
    const fault = tool === undefined ? undefined : paramFaultOf({ headers, tool: tool.item, args: params?.arguments })
    if (fault !== undefined) {
      onEnd()
      return refuse(response, { status: 400, id, error: fault })
    }
    const reply = new PostReply({
      response,
      begin: this.#options.streams.begun,
      acceptsStream: true,
      requests: 1,
      isBatch: false,
      onEnd
    })
    const call = this.#requests.run(client, { principal, message, reply })
    if (call !== undefined) this.#attend(call, response)
  }

  /** Streams changes until the client ends the response, or the gateway does. */
  #listen(client: ClientSession, response: ServerResponse, message: JSONRPCRequest): void {
    const { streams } = this.#options
    let isBegun = false
    const send = (message: string) => {
      if (!isBegun) streams.begin(response)
      isBegun = true
      streams.send(response, message)
    }
    const close = listen({ ...this.#options, client, send, message })
    if (close instanceof RpcError) refuse(response, { status: 429, id: message.id, error: close })
    else onClosed(response, close)
  }

  /** A client that ends the response before it is whole has cancelled the request. */
  #attend(call: ModernCall, response: ServerResponse): void {
    onClosed(response, () => {
      if (!response.writableEnded && !call.isParked) interrupt(call)
    })
  }
}
