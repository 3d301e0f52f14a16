// MCP servers of the revision 2025-06-18 for smoke.mjs: `server.mjs LEDGER stdio`, or `server.mjs LEDGER net`, which prints the ports of
// an HTTP and a WebSocket server. Over HTTP, the tool `echo` answers in JSON and `slow` in an event stream with a progress notification
// before the result. The ledger gets a line for each session, call, DELETE and end of a WebSocket.
import { appendFileSync } from "node:fs"
import { createServer } from "node:http"
import { createInterface } from "node:readline"

const [, , file, kind] = process.argv
const ledger = (line) => appendFileSync(file, `${line}\n`)

const tools = ["echo", "slow"].map((name) => ({ name, inputSchema: { type: "object" } }))
const capabilities = { tools: {} }
const serverInfo = { name: "smoke", version: "1" }
const resultOf = ({ method, params }) => {
  if (method === "initialize") return { protocolVersion: "2025-06-18", capabilities, serverInfo }
  if (method === "tools/list") return { tools }
  if (method !== "tools/call") return {}
  ledger(`call ${params.name} ${params.arguments.message}`)
  return { content: [{ type: "text", text: params.arguments.message }] }
}
const known = new Set(["initialize", "ping", "tools/list", "tools/call"])
const answer = (message) => {
  const { id, method } = message
  const rest = known.has(method)
    ? { result: resultOf(message) }
    : { error: { code: -32601, message: "Method not found" } }
  return JSON.stringify({ jsonrpc: "2.0", id, ...rest })
}

if (kind === "stdio") {
  ledger("start")
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line)
    if (message.id !== undefined) process.stdout.write(`${answer(message)}\n`)
  }
  ledger("end")
} else {
  const { WebSocketServer } = await import("ws")
  const json = { "content-type": "application/json" }
  const server = createServer(async (request, response) => {
    let body = ""
    for await (const chunk of request.setEncoding("utf8")) body += chunk
    if (request.method === "DELETE") {
      ledger(`delete ${request.headers["mcp-session-id"]}`)
      return response.writeHead(200).end()
    }
    if (request.method !== "POST") return response.writeHead(405).end()
    const message = JSON.parse(body)
    if (message.id === undefined) return response.writeHead(202).end()
    if (message.method === "initialize") {
      ledger("start")
      return response.writeHead(200, { ...json, "mcp-session-id": "smoke" }).end(answer(message))
    }
    if (message.params?.name !== "slow") return response.writeHead(200, json).end(answer(message))
    response.writeHead(200, { "content-type": "text/event-stream" })
    const { progressToken } = message.params._meta
    const params = { progressToken, progress: 1, total: 2, message: "halfway" }
    response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params })}\n\n`)
    return response.end(`data: ${answer(message)}\n\n`)
  })
  new WebSocketServer({ server, handleProtocols: () => "mcp" }).on("connection", (socket) => {
    ledger("open")
    socket.on("message", (data) => {
      const message = JSON.parse(String(data))
      if (message.id !== undefined) socket.send(answer(message))
    })
    socket.on("close", (code) => ledger(`close ${code}`))
  })
  server.listen(0, "127.0.0.1", () => console.log(server.address().port))
  process.stdin.resume().on("end", () => process.exit(0))
}
