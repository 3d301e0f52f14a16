/**
 * Runs what a handshake runs for the first time, before an answer of a server has to wait for it.
 *
 * The SDK builds the schemas of a revision when its client needs them, which takes about as long as all the rest of a handshake.
 */
import { Client, type JSONRPCMessage, type Transport } from "@modelcontextprotocol/client"
import { sent } from "../jsonRpc/codec.ts"

/** Answers `initialize` from memory. */
class Echo implements Transport {
  onmessage?: (message: JSONRPCMessage) => void

  start(): Promise<void> {
    return sent
  }

  send(message: JSONRPCMessage): Promise<void> {
    if ("method" in message && "id" in message) {
      const { id, params } = message
      const { clientInfo, protocolVersion } = params ?? {}
      const result = { protocolVersion, capabilities: { tools: {} }, serverInfo: clientInfo }
      queueMicrotask(() => this.onmessage?.({ jsonrpc: "2.0", id, result }))
    }
    return sent
  }

  close(): Promise<void> {
    return sent
  }
}

/** Connects a client to itself. The process of a server is starting meanwhile. Rejects if the SDK refuses the answer, which says nothing about servers. */
export const warmUp = (): Promise<void> => new Client({ name: "warm-up", version: "1" }).connect(new Echo())
