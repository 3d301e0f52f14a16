// Run from the root of a checkout: node ../shared/cases/01-sse-event-runs-tool-twice.mjs
// A server of 2024-11-05 (SSE) sends a keep-alive as an event whose data is no JSON-RPC message while a tool runs.
// Right: the event is passed over (one run, "paid", status 0); or, if the connection is to end, OutcomeUnknown and ONE run.
// Found: two runs of the tool, and "HandshakeFailed", outcome not_sent, status 14.
import { spawn } from "node:child_process"
import fs from "node:fs"
import http from "node:http"
import os from "node:os"
import path from "node:path"
const tool = { name: "pay", inputSchema: { type: "object", properties: { n: { type: "integer" } } } }
const usual = (m) =>
  m.id === undefined ?
    undefined
    : m.method === "initialize" ?
    {
      jsonrpc: "2.0",
      id: m.id,
      result: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } }
    }
    : m.method === "tools/list" ?
    { jsonrpc: "2.0", id: m.id, result: { tools: [tool] } }
    : m.method === "tools/call" ?
    { jsonrpc: "2.0", id: m.id, result: { content: [{ type: "text", text: "paid" }] } }
    : { jsonrpc: "2.0", id: m.id, error: { code: -32601, message: "no such method" } }
const json = (res, value, status = 200) => {
  res.writeHead(status, { "content-type": "application/json" })
  res.end(JSON.stringify(value))
}
const log = []
const serve = (special) =>
  new Promise((resolve) => {
    const server = http.createServer(async (req, res) => {
      let body = ""
      for await (const chunk of req) body += chunk
      const m = body === "" ? undefined : JSON.parse(body)
      log.push(`${req.method} ${req.url} ${m?.method ?? ""}`.trim())
      if (special(req, res, m)) return
      if (m === undefined) return void res.writeHead(req.method === "GET" ? 405 : 200).end()
      const answer = usual(m)
      answer === undefined ? res.writeHead(202).end() : json(res, answer)
    }).listen(0, "127.0.0.1", () => resolve(server.address().port))
  })
const cli = (definition, ...words) =>
  new Promise((resolve) => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "case-")), "c.json")
    fs.writeFileSync(file, JSON.stringify({ mcpServers: { s: definition } }))
    const child = spawn(process.execPath, ["packages/cli/src/bin.ts", "-c", file, ...words], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let out = ""
    for (const s of [child.stdout, child.stderr]) s.on("data", (c) => out += c)
    child.on("exit", (status) => {
      console.log(`$ mcp-sessions ${words.join(" ")}\n${out}status ${status}`)
      resolve()
    })
  })
let runs = 0, stream
const port = await serve((req, res, m) => {
  if (req.method === "GET") {
    stream = res
    res.writeHead(200, { "content-type": "text/event-stream" })
    return res.write("event: endpoint\ndata: /post\n\n")
  }
  res.writeHead(202).end()
  if (m.method === "tools/call") {
    runs++
    stream.write("data: {\"type\":\"heartbeat\"}\n\n")
  }
  const answer = usual(m)
  if (answer !== undefined) stream.write(`data: ${JSON.stringify(answer)}\n\n`)
  return true
})
await cli({ transport: "sse", url: `http://127.0.0.1:${port}/sse` }, "call", "s/pay", "n=1", "--json")
console.log(`the tool ran ${runs} times\n${log.join("\n")}`)
process.exit(runs === 1 ? 0 : 1)
