// Run from the root of a checkout: node ../shared/cases/06-cli-odd-content-loses-result.mjs
// The tool has run; one block of its result lacks what its type promises, or has a type from a later revision.
// Right: with --json the plain result, status 0; without it the blocks that can be shown and a word about the others.
// Found: image without data / resource null: TypeError with a stack, status 1, with --json too: the whole result is lost.
//        type "video": an empty line and nothing else, status 0.  text that is an object: "[object Object]".
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
const results = {
  image: [{ type: "text", text: "order 17 placed" }, { type: "image", mimeType: "image/png" }],
  resource: [{ type: "text", text: "order 17 placed" }, { type: "resource", resource: null }],
  video: [{ type: "video", data: "AAAA", mimeType: "video/mp4" }],
  object: [{ type: "text", text: { order: 17 } }]
}
if (process.argv[2] === "server") {
  listen((m) => {
    if (m.id === undefined) return
    if (m.method === "initialize") say({ jsonrpc: "2.0", id: m.id, result: hello })
    else if (m.method === "tools/list") {
      say({
        jsonrpc: "2.0",
        id: m.id,
        result: { tools: Object.keys(results).map((name) => ({ name, inputSchema: { type: "object" } })) }
      })
    } else if (m.method === "tools/call") say({ jsonrpc: "2.0", id: m.id, result: { content: results[m.params.name] } })
    else say({ jsonrpc: "2.0", id: m.id, error: { code: -32601, message: "no such method" } })
  })
} else {
  for (const name of Object.keys(results)) await cli("call", `s/${name}`)
  await cli("call", "s/image", "--json")
}
