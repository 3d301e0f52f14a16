/**
 * Warm calls over stdio and HTTP: a raw client that only writes and reads JSON, the SDK with its own transports, and this
 * library. Run with `pnpm bench`.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Agent, request } from "undici"
import { compare, ofEffect, ofPromise, table } from "./harness.ts"

const rounds = 7
const inFlight = 64
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const call = { name: "echo", arguments: { message: "hello" } }

const http = spawn(process.execPath, [fixture("rawHttp.mjs")], { stdio: ["pipe", "pipe", "inherit"] })
const [port] = await once(createInterface(http.stdout), "line")
const urlOf = (path: string) => `http://127.0.0.1:${port}/${path}`

const stdioArgs = [fixture("rawStdio.mjs")]

const rawStdio = () => {
  const child = spawn(process.execPath, stdioArgs)
  const waiting = new Map<number, (message: unknown) => void>()
  let rest = ""
  let id = 0
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const message = JSON.parse(line)
      waiting.get(message.id)?.(message.result)
      waiting.delete(message.id)
    }
  })
  return {
    child,
    call: () =>
      new Promise((resolve) => {
        waiting.set(++id, resolve)
        child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: call }) + "\n")
      })
  }
}

const rawHttp = (path: string) => {
  const dispatcher = new Agent()
  let id = 0
  return async () => {
    const { body } = await request(urlOf(path), {
      dispatcher,
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method: "tools/call", params: call })
    })
    const text = await body.text()
    return JSON.parse(path === "sse" ? text.slice(text.indexOf("data: ") + 6) : text).result
  }
}

const sdk = async (transport: StdioClientTransport | StreamableHTTPClientTransport) => {
  const client = new Client({ name: "bench", version: "1" })
  await client.connect(transport as Parameters<Client["connect"]>[0])
  return { client, call: () => client.callTool(call) }
}

const ours = Effect.gen(function*() {
  const runPromise = Effect.runPromiseWith(yield* Effect.context<never>())
  const sessions = yield* Sessions.Sessions
  const callOf = (server: string) =>
    Effect.map(sessions.get(server), (session) => session.callTool(call.name, call.arguments))
  const stdio = yield* callOf("stdio")
  const json = yield* callOf("json")
  const sse = yield* callOf("sse")
  const bareStdio = rawStdio()
  const sdkStdio = yield* Effect.promise(() =>
    sdk(new StdioClientTransport({ command: process.execPath, args: stdioArgs }))
  )
  const sdkOf = (path: string) => Effect.promise(() => sdk(new StreamableHTTPClientTransport(new URL(urlOf(path)))))
  const sdkJson = yield* sdkOf("json")
  const sdkSse = yield* sdkOf("sse")

  const measure = (title: string, contenders: Parameters<typeof compare>[0]["contenders"], calls: number) =>
    Effect.promise(async () => console.log(table(title, await compare({ contenders, rounds, calls, inFlight }))))

  yield* measure("stdio", [
    ofPromise("raw", bareStdio.call),
    ofPromise("sdk", sdkStdio.call),
    ofEffect("mcp-sessions", stdio),
    ofPromise("mcp-sessions, promises", () => runPromise(stdio))
  ], 2000)
  yield* measure("HTTP, JSON answers", [
    ofPromise("raw", rawHttp("json")),
    ofPromise("sdk", sdkJson.call),
    ofEffect("mcp-sessions", json)
  ], 500)
  yield* measure("HTTP, SSE answers", [
    ofPromise("raw", rawHttp("sse")),
    ofPromise("sdk", sdkSse.call),
    ofEffect("mcp-sessions", sse)
  ], 500)

  bareStdio.child.stdin.end()
  yield* Effect.promise(() => Promise.all([sdkStdio, sdkJson, sdkSse].map(({ client }) => client.close())))
})

const live = Sessions.layer({
  servers: {
    stdio: { transport: "stdio", command: process.execPath, args: stdioArgs, protocol: "legacy" },
    json: { transport: "streamable_http", url: urlOf("json"), protocol: "legacy" },
    sse: { transport: "streamable_http", url: urlOf("sse"), protocol: "legacy" }
  }
}).pipe(Layer.provide(Transports.layer))

await Effect.runPromise(Effect.scoped(ours).pipe(Effect.provide(live)))
http.stdin.end()
process.exit(0)
