// Run from the root of a checkout: node ../shared/cases/11-ids-as-text.mjs
// A server that gives ids back as text ("1000000" for 1000000).  The handshake succeeds (the SDK takes "0" for 0), no call ever does.
// Right: either way the same: all of it works (as with SDK v1 and v2), or the handshake fails and says why.
// Found: over HTTP ResponseLost/OutcomeUnknown "the response stream ended without the response"; over stdio every call runs into its time limit.
import { spawn } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
const me = fileURLToPath(import.meta.url)
const cli = (...words) =>
  new Promise((resolve) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "case-"))
    const file = path.join(dir, "c.json")
    fs.writeFileSync(
      file,
      JSON.stringify({
        mcpServers: {
          s: { command: process.execPath, args: [me, "server"], connectTimeout: 4000, requestTimeout: 3000 }
        }
      })
    )
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
const say = (value) => process.stdout.write((typeof value === "string" ? value : JSON.stringify(value)) + "\n")
const listen = (take) => {
  let rest = ""
  process.stdin.on("data", (chunk) => {
    rest += chunk
    for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) {
      take(JSON.parse(rest.slice(0, end)), rest.slice(0, end))
    }
  }).on("end", () => process.exit(0))
}
const hello = { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } }
if (process.argv[2] === "server") {
  listen((m) => {
    if (m.id === undefined) return
    const id = String(m.id)
    if (m.method === "initialize") say({ jsonrpc: "2.0", id, result: hello })
    else if (m.method === "tools/list") {
      say({ jsonrpc: "2.0", id, result: { tools: [{ name: "pay", inputSchema: { type: "object" } }] } })
    } else if (m.method === "tools/call") {
      say({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "paid" }] } })
    } else say({ jsonrpc: "2.0", id, error: { code: -32601, message: "no such method" } })
  })
} else await cli("call", "s/pay", "--timeout", "6s")
