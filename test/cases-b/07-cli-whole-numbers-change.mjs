// Run from the root of a checkout: node ../shared/cases/07-cli-whole-numbers-change.mjs
// A whole number beyond 2^53 as an argument. `n=...` is refused ("cannot be represented exactly"); the two other ways are not.
// Right: refused in all three ways, or sent digit by digit.  Found: := and --args send 9007199254740992 to the tool, status 0.
// In a result (structuredContent.id 1915883588174806058) --json prints 1915883588174806000 without a word.
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
  listen((m, line) => {
    if (m.id === undefined) return
    if (m.method === "initialize") say({ jsonrpc: "2.0", id: m.id, result: hello })
    else if (m.method === "tools/list") {
      say({
        jsonrpc: "2.0",
        id: m.id,
        result: { tools: [{ name: "erase", inputSchema: { type: "object", properties: { n: { type: "integer" } } } }] }
      })
    } else if (m.method === "tools/call") {
      say(
        `{"jsonrpc":"2.0","id":${m.id},"result":{"content":[{"type":"text","text":${
          JSON.stringify("got " + /"arguments":({[^}]*})/.exec(line)[1])
        }}],"structuredContent":{"id":1915883588174806058}}}`
      )
    } else say({ jsonrpc: "2.0", id: m.id, error: { code: -32601, message: "no such method" } })
  })
} else {
  await cli("call", "s/erase", "n=9007199254740993")
  await cli("call", "s/erase", "n:=9007199254740993")
  await cli("call", "s/erase", "--args", "{\"n\":9007199254740993}", "--json")
}
