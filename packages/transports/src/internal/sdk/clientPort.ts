/**
 * The channel as one client of the SDK sees it during and after the handshake.
 *
 * The client believes that it alone has the channel. In truth the era probe may be open beside it, and the client may be given up for
 * another: so it can neither start nor close the channel, and hears only what is passed on to it.
 */
import type { JSONRPCMessage, Transport, TransportSendOptions } from "@modelcontextprotocol/client"
import { sent } from "../jsonRpc/codec.ts"

export class ClientPort implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** The id of the request `initialize`, once it was sent. */
  initializeId: string | number | undefined
  readonly #transport: Transport
  readonly #abort = new AbortController()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get sessionId(): string | undefined {
    return this.#transport.sessionId
  }

  get hasPerRequestStream(): boolean {
    return this.#transport.hasPerRequestStream === true
  }

  setProtocolVersion(version: string): void {
    this.#transport.setProtocolVersion?.(version)
  }

  start(): Promise<void> {
    return sent
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (!("method" in message && "id" in message && message.method === "initialize")) {
      return this.#transport.send(message, options)
    }
    this.initializeId = message.id
    return this.#transport.send(message, { ...options, requestSignal: this.#abort.signal })
  }

  close(): Promise<void> {
    return sent
  }

  /** Gives up the client: what it has sent is aborted where that is possible, and whatever it waits for ends. */
  detach(): void {
    this.#abort.abort()
    this.onclose?.()
  }
}
