/**
 * A pair of linked SDK transports, one end for the server and one as a channel.
 */
import { type Reason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import { InMemoryTransport, type JSONRPCMessage, type Transport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Channel } from "./jsonRpc/engineChannel.ts"
import { OrderedInbox } from "./jsonRpc/orderedInbox.ts"

class MemoryTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  readonly #inner: InMemoryTransport
  readonly #inbox = new OrderedInbox({
    deliver: (message) => this.onmessage?.(message),
    onError: (error) => this.onerror?.(error)
  })
  #closed = false
  #left = false

  constructor(inner: InMemoryTransport) {
    this.#inner = inner
    inner.onclose = () => {
      if (this.#closed) return
      this.#closed = true
      this.onclose?.()
    }
  }

  gone(delivery: "NotSent" | "Unknown"): Reason | undefined {
    return this.#closed && !this.#left ? new TransportClosed({ delivery }) : undefined
  }

  start(): Promise<void> {
    this.#inner.onmessage = (message) => this.#inbox.push(message)
    return this.#inner.start()
  }

  send(message: JSONRPCMessage): Promise<void> {
    return this.#closed ? Promise.reject(new TransportClosed({ delivery: "NotSent" })) : this.#inner.send(message)
  }

  close(): Promise<void> {
    this.#left ||= !this.#closed
    return this.#inner.close()
  }
}

/** Attaches a server to a new pair and gives the other end, for as long as the scope. */
export const openMemory = (
  serve: (peer: Transport) => Promise<unknown> | void
): Effect.Effect<Channel, Reason, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const [inner, peer] = InMemoryTransport.createLinkedPair()
        await serve(peer)
        return new MemoryTransport(inner)
      },
      catch: (cause) =>
        new TransportFailed({ description: "the server in memory did not start", delivery: "NotSent", cause })
    }),
    (transport) => Effect.promise(() => transport.close())
  ).pipe(Effect.map((transport): Channel => ({
    transport,
    gone: (delivery) => transport.gone(delivery)
  })))
