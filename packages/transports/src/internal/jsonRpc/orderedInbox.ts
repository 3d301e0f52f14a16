/**
 * Delivers messages in the order in which they arrived.
 *
 * The SDK's client settles a response at once but runs the handler of a notification a microtask later. Where both arrive in one chunk,
 * the response would overtake the notification. So the messages after a notification for the client wait for the next turn of the
 * event loop. The engine handles its messages synchronously: what it takes never makes others wait.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { setImmediate } from "node:timers"
import { forClient } from "./inboundReader.ts"
import type { RequestSink } from "./requestSink.ts"

/** The callbacks of a transport. They are looked up for each message, because the SDK replaces them when it probes. */
type Callbacks = Pick<RequestSink, "receiver"> & Pick<Transport, "onerror" | "onmessage">

export class OrderedInbox {
  readonly #callbacks: Callbacks
  #parked: Array<readonly [JSONRPCMessage, OutgoingRequest | undefined]> | undefined

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks
  }

  /** Delivers a message. `call` is the request on whose response stream it arrived, where that is known. */
  push(message: JSONRPCMessage, call?: OutgoingRequest): void {
    if (this.#parked !== undefined) {
      this.#parked.push([message, call])
      return
    }
    try {
      if (this.#callbacks.receiver?.take(message, call) === true) return
      this.#callbacks.onmessage?.(forClient(message))
    } catch (error) {
      // A callback that throws must not stop the other messages, nor the process.
      this.#callbacks.onerror?.(error instanceof Error ? error : new Error(String(error)))
    }
    if (!("id" in message)) {
      this.#parked = []
      setImmediate(this.#unpark)
    }
  }

  readonly #unpark = (): void => {
    const parked = this.#parked ?? []
    this.#parked = undefined
    for (const [message, call] of parked) this.push(message, call)
  }
}
