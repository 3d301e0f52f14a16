/**
 * A server in memory whose responses come in a later turn of the event loop, as those of real servers do.
 */
import type * as Memory from "@mcp-sessions/transports/Memory"

const results: Readonly<Record<string, object>> = {
  initialize: {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "memory", version: "1" }
  },
  "tools/call": { content: [] }
}

export const serve: Memory.Serve = (peer) => {
  peer.onmessage = (message) => {
    if (!("id" in message && "method" in message)) return
    const { id, method } = message
    setImmediate(() => void peer.send({ jsonrpc: "2.0", id, result: { ...results[method] } }))
  }
  return peer.start()
}
