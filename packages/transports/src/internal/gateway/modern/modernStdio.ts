/**
 * Requests of revision 2026-07-28 on stdio. They need no handshake, so a client may begin with any of them.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
 */
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RequestPlace } from "../admission/quotas.ts"
import type { Catalog } from "../catalog/catalog.ts"
import { interrupt, type Reply } from "../client/clientCall.ts"
import type { Clients } from "../client/clients.ts"
import { modernRevision } from "../client/clientSession.ts"
import type { Tasks } from "../client/tasks.ts"
import { settled } from "../http/defects.ts"
import { codes, encodeError, encodeResult, idInUse, RpcError, type RpcId, tooManySessions } from "../protocol/rpc.ts"
import { textOf } from "../streams/outgoing.ts"
import type { ModernCall } from "./modernCall.ts"
import { listen } from "./modernListen.ts"
import { capabilitiesOf, discovered, isServed, metaFaultOf, taskFaultOf, versionFaultOf } from "./modernMessage.ts"
import { ModernRequests, type ModernRequestsOptions } from "./modernRequests.ts"

export interface ModernStdioOptions extends ModernRequestsOptions {
  readonly catalog: Catalog
  readonly clients: Clients
  readonly tasks: Tasks
  readonly principal: string
  readonly write: (message: string) => void
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** A request in flight, as far as its client can end it. */
interface InFlight {
  call?: ModernCall | undefined
  isCancelled: boolean
  /** Ends a subscription. */
  close?: () => void
}

export class ModernStdio {
  readonly #options: ModernStdioOptions
  readonly #requests: ModernRequests
  readonly #inFlight = new Map<RpcId, InFlight>()

  constructor(options: ModernStdioOptions) {
    this.#options = options
    this.#requests = new ModernRequests(options)
  }

  /** Handles a request, and ends its place with its response. A stream of subscriptions needs none. */
  handle(message: JSONRPCRequest, place: RequestPlace): void {
    const { clients, fork, principal, tasks, write } = this.#options
    const { id, method } = message
    const respond = (text: string) => {
      place.end()
      write(text)
    }
    const fail = (error: RpcError) => respond(encodeError(id, error))
    const fault = metaFaultOf(message) ?? versionFaultOf(message) ?? taskFaultOf(message)
    if (fault !== undefined) return fail(fault)
    if (method === "server/discover") return respond(encodeResult(id, discovered(this.#options)))
    if (!isServed(method, tasks)) {
      return fail(new RpcError({ code: codes.methodNotFound, message: `unknown method ${method}` }))
    }
    if (this.#inFlight.has(id)) return fail(idInUse)
    const inFlight: InFlight = { isCancelled: false }
    this.#inFlight.set(id, inFlight)
    const parts = { principal, capabilities: capabilitiesOf(message), protocolVersion: modernRevision }
    const onFailure = (error: RpcError) => {
      this.#inFlight.delete(id)
      if (inFlight.isCancelled) place.end()
      else fail(error)
    }
    settled({ fork, doing: `handle ${method}`, onFailure }, {
      effect: clients.modern(parts),
      onValue: (client) => {
        if (client === undefined || inFlight.isCancelled) return onFailure(tooManySessions)
        client.touch()
        if (method === "subscriptions/listen") {
          const listening = listen({ ...this.#options, client, message, send: write })
          if (listening instanceof RpcError) return onFailure(listening)
          inFlight.close = listening
          place.end()
          return
        }
        inFlight.call = this.#requests.run(client, { principal, message, reply: this.#replyTo(id, inFlight, place) })
      }
    })
  }

  /** Takes a message of the client that needs no response. */
  take(message: JSONRPCMessage): void {
    if (!("method" in message) || message.method !== "notifications/cancelled") return
    const { requestId } = (message.params ?? {}) as { readonly requestId?: RpcId }
    const inFlight = requestId === undefined ? undefined : this.#inFlight.get(requestId)
    if (requestId === undefined || inFlight === undefined) return
    inFlight.isCancelled = true
    inFlight.close?.()
    this.#inFlight.delete(requestId)
    if (inFlight.call !== undefined) interrupt(inFlight.call)
  }

  /** Ends the subscriptions. */
  close(): void {
    for (const { close } of this.#inFlight.values()) close?.()
    this.#inFlight.clear()
  }

  #replyTo(id: RpcId, inFlight: InFlight, place: RequestPlace): Reply {
    const { write } = this.#options
    return {
      related: (message) => {
        if (!inFlight.isCancelled) write(textOf(message))
        return !inFlight.isCancelled
      },
      settle: (message) => {
        place.end()
        if (inFlight.isCancelled) return
        this.#inFlight.delete(id)
        if (message !== undefined) write(message)
      }
    }
  }
}
