// Run from the root of a checkout: node ../shared/cases/09-refusal-says-nothing.mjs
// An HTTP error whose body is a JSON-RPC error for this very request (or without id, as the spec allows).
// Right: ProtocolFailed -32602 "n must be positive"; at least the words of the server in the failure.
// Found: HttpFailed "the server answered HTTP 400", no words.  With 500 and the id of the request: OutcomeUnknown "may or may not have run", though it was answered.
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
for (const status of [400, 500]) {
  const port = await serve((req, res, m) =>
    m?.method === "tools/call" &&
    (json(res, { jsonrpc: "2.0", id: m.id, error: { code: -32602, message: "n must be positive" } }, status), true)
  )
  await cli({ url: `http://127.0.0.1:${port}/mcp` }, "call", "s/pay", "n=0")
}
process.exit(0)
