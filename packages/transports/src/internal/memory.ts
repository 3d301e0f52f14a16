/**
 * A pair of linked SDK transports, one end for the server and one as a channel.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import {
  InMemoryTransport,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type Transport
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { EngineChannel } from "./channel/engineChannel.ts"
import { tryEncode } from "./jsonRpc/codec.ts"
import { messageOf } from "./jsonRpc/inboundReader.ts"
import { OrderedInbox } from "./jsonRpc/orderedInbox.ts"
import type { EndReason, Receiver, RequestSink } from "./jsonRpc/requestSink.ts"
import { SkippedTexts } from "./jsonRpc/skippedTexts.ts"

const closed: EndReason = (delivery) => new TransportClosed({ delivery })

class MemoryTransport implements Transport, RequestSink {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined
  readonly #inner: InMemoryTransport
  readonly #inbox = new OrderedInbox(this)
  #isClosed = false
  #isClosedByUs = false
  #skipped: SkippedTexts | undefined

  constructor(inner: InMemoryTransport) {
    this.#inner = inner
    inner.onclose = () => {
      if (this.#isClosed) return
      this.#isClosed = true
      this.#inbox.end(() => this.onclose?.())
    }
  }

  warnings(): ReadonlyArray<string> {
    return this.#skipped?.warnings("value") ?? []
  }

  ended(): EndReason | undefined {
    return this.#isClosed && !this.#isClosedByUs ? closed : undefined
  }

  start(): Promise<void> {
    this.#inner.onmessage = (value) => {
      const message = messageOf(value)
      if (message !== undefined) this.#inbox.push(message)
      else (this.#skipped ??= new SkippedTexts(String)).add(tryEncode(Object(value)) ?? "")
    }
    return this.#inner.start()
  }

  send(message: JSONRPCMessage): Promise<void> {
    return this.#isClosed ? Promise.reject(closed("NotSent")) : this.#inner.send(message)
  }

  sendRequest(request: OutgoingRequest, _: string, message: JSONRPCRequest): void {
    if (this.#isClosed) return this.receiver?.fail(request, closed("NotSent"))
    request.isWritten = true
    this.#inner.send(message).catch((error: unknown) =>
      this.receiver?.fail(
        request,
        new TransportFailed({ description: "the server in memory failed", delivery: "Unknown", cause: error })
      )
    )
  }

  close(): Promise<void> {
    this.#isClosedByUs ||= !this.#isClosed
    return this.#inner.close()
  }
}

/** Attaches a server to a new pair and returns the other end, for as long as the scope. */
export const openMemory = (
  serve: (peer: Transport) => Promise<unknown> | void
): Effect.Effect<EngineChannel, TransportFailed, Scope.Scope> =>
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
  ).pipe(Effect.map((transport): EngineChannel => ({
    transport,
    ended: () => transport.ended(),
    warnings: () => transport.warnings()
  })))
