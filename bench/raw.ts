/**
 * The least that a client can do: it writes and reads JSON, without so much as a handshake. What a call costs it, the server
 * and the wire cost.
 */
import type { ServerOf } from "@mcp-sessions/peers/Peer.ts"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { Agent, request } from "undici"
import { WebSocket } from "ws"

interface RawClient {
  readonly call: (tool: string, args: Record<string, unknown>) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

const requestOf = (id: number, tool: string, args: Record<string, unknown>): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: tool, arguments: args } })

/** Answers come in any order; each goes to who waits for it. */
const exchange = (send: (text: string) => void) => {
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
        send(requestOf(id, tool, args))
      })
  }
}

const stdio = (command: string, args: ReadonlyArray<string>): RawClient => {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  const { call, receive } = exchange((text) => child.stdin.write(`${text}\n`))
  let rest = ""
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) receive(line)
  })
  return {
    call,
    close: () => {
      child.stdin.end()
      return once(child, "exit")
    }
  }
}

const http = (url: string): RawClient => {
  const dispatcher = new Agent()
  let id = 0
  return {
    call: async (tool, args) => {
      const { body, headers } = await request(url, {
        dispatcher,
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
        body: requestOf(++id, tool, args)
      })
      const text = await body.text()
      const isJson = headers["content-type"] === "application/json"
      return JSON.parse(isJson ? text : text.slice(text.indexOf("data: ") + 6)).result
    },
    close: () => dispatcher.close()
  }
}

const webSocket = async (url: string): Promise<RawClient> => {
  const socket = new WebSocket(url, "mcp", { perMessageDeflate: false })
  const { call, receive } = exchange((text) => socket.send(text))
  socket.on("message", (data) => receive(String(data)))
  await once(socket, "open")
  return {
    call,
    close: () => {
      socket.close()
      return once(socket, "close")
    }
  }
}

export const connect = async (server: ServerOf): Promise<RawClient> => {
  switch (server.kind) {
    case "stdio":
      return stdio(server.command, server.args)
    case "http":
      return http(server.url)
    case "websocket":
      return webSocket(server.url)
  }
}
