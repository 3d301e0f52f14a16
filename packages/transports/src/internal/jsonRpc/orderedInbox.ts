/**
 * Hands messages to the SDK in an order that it keeps.
 *
 * The SDK settles a response at once but runs the handler of a notification a microtask later. Where both arrive in one
 * chunk, the response would overtake the notification and progress would be lost. So after a notification the rest waits
 * for the next turn of the event loop.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { setImmediate } from "node:timers"

export class OrderedInbox {
  #parked: Array<JSONRPCMessage> | undefined
  readonly #deliver: (message: JSONRPCMessage) => void
  readonly #onError: (error: Error) => void

  constructor(options: {
    readonly deliver: (message: JSONRPCMessage) => void
    readonly onError: (error: Error) => void
  }) {
    this.#deliver = options.deliver
    this.#onError = options.onError
  }

  push(message: JSONRPCMessage): void {
    if (this.#parked !== undefined) {
      this.#parked.push(message)
      return
    }
    try {
      this.#deliver(message)
    } catch (error) {
      // A message that its receiver chokes on must not take the others along, nor the process.
      this.#onError(error instanceof Error ? error : new Error(String(error)))
    }
    if (!("id" in message)) {
      this.#parked = []
      setImmediate(this.#unpark)
    }
  }

  readonly #unpark = (): void => {
    const parked = this.#parked ?? []
    this.#parked = undefined
    for (const message of parked) this.push(message)
  }
}
