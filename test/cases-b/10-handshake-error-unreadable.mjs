// Run from the root of a checkout: node ../shared/cases/10-handshake-error-unreadable.mjs
// The answer to initialize is wrong in one member.  Right: a failure that names the member.
// Found: (a) instructions: null -> "error[HandshakeFailed] s: Invalid result for initialize: [" (cut after the first line; --json too)
//        (b) "error": null beside the result -> the answer is dropped without a word: ConnectTimeout after all tries.
//            After the handshake the same "error": null is no problem.
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
  const mode = process.argv[3]
  listen((m) => {
    if (m.id === undefined) return
    if (m.method === "initialize") {
      return mode === "a"
        ? say({ jsonrpc: "2.0", id: m.id, result: { ...hello, instructions: null } })
        : say({ jsonrpc: "2.0", id: m.id, result: hello, error: null })
    }
    say({ jsonrpc: "2.0", id: m.id, error: { code: -32601, message: "no such method" } })
  })
} else {
  for (const mode of ["a", "b"]) {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "case-")), "c.json")
    fs.writeFileSync(
      file,
      JSON.stringify({
        mcpServers: { s: { command: process.execPath, args: [me, "server", mode], connectTimeout: 2000 } }
      })
    )
    const child = spawn(process.execPath, ["packages/cli/src/bin.ts", "-c", file, "tools", "s"], { stdio: "inherit" })
    await new Promise((resolve) => child.on("exit", (status) => (console.log("status", status), resolve())))
  }
}
