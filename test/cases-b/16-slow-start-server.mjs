// Run from the root of a checkout, with a definition of `node ../shared/cases/16-slow-start-server.mjs` (DELAY=4000 in env) in a config file: mcp-sessions check -c FILE
// A stdio server of both eras that takes 4 s to start and then answers what has piled up on its stdin, in order (as go-sdk 1.8 does).
// Right: connected, modern era (connectTimeout is 30 s because `npx` may have to install first). So with `protocol: "2026-07-28"`, and with a server that knows only the modern era.
// Found: `initialize` follows the unanswered `server/discover` after 3 s; HandshakeFailed: duplicate "initialize" received. Where the server forgives that, the session is legacy for the life of the layer.
import { createInterface } from "node:readline"
await new Promise((r) => setTimeout(r, Number(process.env.DELAY ?? 4000)))
let met = false
const say = (m) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...m }) + "\n")
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line)
  if (method === "server/discover") {
    met = true
    say({
      id,
      result: {
        resultType: "complete",
        ttlMs: 0,
        cacheScope: "public",
        supportedVersions: ["2026-07-28", "2025-11-25"],
        capabilities: { tools: {} },
        _meta: { "io.modelcontextprotocol/serverInfo": { name: "late", version: "1" } }
      }
    })
  } else if (method === "initialize") {
    say(
      met
        ? { id, error: { code: 0, message: "duplicate \"initialize\" received" } }
        : {
          id,
          result: {
            protocolVersion: "2025-11-25",
            capabilities: { tools: {} },
            serverInfo: { name: "late", version: "1" }
          }
        }
    )
  } else if (method === "tools/list") {
    say({ id, result: { tools: [], resultType: "complete", ttlMs: 0, cacheScope: "public" } })
  } else if (id !== undefined) say({ id, result: {} })
}
