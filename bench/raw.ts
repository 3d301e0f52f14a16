/**
 * The least that a client can do: it writes and reads JSON, without a handshake. Its calls cost what the wire and the server cost.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { Agent, request } from "undici"
import { WebSocket } from "ws"
import type { ComparedSession, ServerOf } from "../test/otherClients/ComparedClient.ts"

type Call = Pick<ComparedSession, "call">

/** What the revision 2026-07-28 requires of each request. */
const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {}
}

const headersOf = ({ era }: ServerOf, tool: string): Record<string, string> => ({
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  ...(era === "modern" && { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool })
})

const requestOf = ({ era }: ServerOf, id: number, name: string, args: Record<string, unknown>): string => {
  const params = { name, arguments: args, ...(era === "modern" && { _meta: modernMeta }) }
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params })
}

/** Matches responses, which come in any order, to requests. */
const exchange = (server: ServerOf, send: (text: string) => void) => {
  const waiting = new Map<number, (result: unknown) => void>()
  let id = 0
  return {
    receive: (text: string): void => {
      const message = JSON.parse(text)
      waiting.get(message.id)?.(message.result)
      waiting.delete(message.id)
    },
    call: (tool: string, args: Record<string, unknown>): Promise<unknown> =>
      new Promise((resolve) => {
        waiting.set(++id, resolve)
        send(requestOf(server, id, tool, args))
      })
  }
}

export const connect = async (server: ServerOf): Promise<Call> => {
  if (server.kind === "stdio") {
    const child = spawn(server.command, server.args, { stdio: ["pipe", "pipe", "inherit"] })
    const { call, receive } = exchange(server, (text) => child.stdin.write(`${text}\n`))
    let rest = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) receive(line)
    })
    return { call }
  }
  if (server.kind === "websocket") {
    const socket = new WebSocket(server.url, "mcp", { perMessageDeflate: false })
    const { call, receive } = exchange(server, (text) => socket.send(text))
    socket.on("message", (data) => receive(String(data)))
    await once(socket, "open")
    return { call }
  }
  const dispatcher = new Agent()
  let id = 0
  return {
    call: async (tool, args) => {
      const { body, headers } = await request(server.url, {
        dispatcher,
        method: "POST",
        headers: headersOf(server, tool),
        body: requestOf(server, ++id, tool, args)
      })
      const text = await body.text()
      const isJson = headers["content-type"] === "application/json"
      return JSON.parse(isJson ? text : text.slice(text.indexOf("data: ") + 6)).result
    }
  }
}
