/**
 * Servers that mix their messages with other text and give ids back as text, on every transport and in both eras.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ClientHandlers,
  type Mcp,
  RetryPolicy,
  type ServerConfig,
  type Session,
  Sessions,
  type Transport
} from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { Effect, Layer, type Scope } from "effect"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"
import { fixture } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { type Era, makeUntidyPeer, type Mode, type UntidyPeer } from "../../fixtures/untidyPeer.ts"

interface Running {
  readonly config: ServerConfig.ServerConfigInput
  readonly transports: Layer.Layer<Transport.Transports>
  /** `undefined`: the server is another process. */
  readonly peer: UntidyPeer | undefined
}

type Start = (era: Era, mode: Mode) => Effect.Effect<Running, never, Scope.Scope>

const stdio: Start = (era, mode) =>
  Effect.succeed({
    config: { transport: "stdio", command: process.execPath, args: [fixture("untidyPeer.ts"), era, mode] },
    transports: Transports.layer,
    peer: undefined
  })

const memory: Start = (era, mode) =>
  Effect.sync(() => {
    const peer = makeUntidyPeer(era, mode)
    const valueOf = (text: string): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        return text
      }
    }
    const serve: Memory.Serve = (transport) => {
      transport.onmessage = (message: JSONRPCMessage) =>
        peer.handle(message as never, (text) => void transport.send(valueOf(text) as never), () => {})
      return transport.start()
    }
    return {
      config: { transport: "stdio", command: "none", args: [] },
      transports: Memory.layerTransports({ s: serve }),
      peer
    }
  })

/** Frames of text and of bytes in turn. */
const webSocket: Start = (era, mode) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const peer = makeUntidyPeer(era, mode)
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
      let frames = 0
      server.on("connection", (socket) =>
        socket.on("message", (data) =>
          peer.handle(JSON.parse(String(data)), (text) =>
            socket.send(frames++ % 2 === 0 ? Buffer.from(text) : text), () => {})))
      await once(server, "listening")
      return { server, peer, port: (server.address() as AddressInfo).port }
    }),
    ({ server }) =>
      Effect.sync(() =>
        server.close()
      )
  ).pipe(Effect.map(({ peer, port }) => ({
    config: { transport: "websocket", url: `ws://127.0.0.1:${port}/` },
    transports: Transports.layer,
    peer
  })))

/** Events of several types, comments, and events without data. */
const eventOf = (() => {
  let events = 0
  return (text: string): string => {
    const type = ["event: message\n", "", "event: ping\n"][events++ % 3]
    return `: keep-alive\n\nevent: empty\ndata:\ndata:\n\n${type}data: ${text}\n\n`
  }
})()

const streamableHttp = (kind: "json" | "stream"): Start => (era, mode) =>
  Effect.gen(function*() {
    const peer = makeUntidyPeer(era, mode)
    const server = yield* Http.start(({ message, request, response }) => {
      if (request.method !== "POST") return false
      if (message.id === undefined || message.method === undefined) {
        peer.handle(message, () => {}, () => response.writeHead(202).end())
        return true
      }
      // A body can hold nothing but JSON: what is no JSON of its own is text in it.
      const values: Array<string> = []
      peer.handle(message, (text) => {
        if (kind === "json") {
          return values.push(text.startsWith("{") || text.startsWith("[") ? text : JSON.stringify(text))
        }
        if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" })
        return response.write(eventOf(text))
      }, () => {
        if (kind === "json") response.writeHead(200, { "content-type": "application/json" })
        // Too deep a body would be refused as a whole.
        response.end(kind === "json" ? `[${values.filter((text) => !text.startsWith("[[")).join(",")}]` : undefined)
      })
      return true
    })
    return { config: { transport: "streamable_http", url: server.url }, transports: Transports.layer, peer }
  })

const sse: Start = (era, mode) =>
  Effect.gen(function*() {
    const peer = makeUntidyPeer(era, mode)
    const server = yield* Sse.start(({ message, request, response }, stream) => {
      if (request.method !== "POST") return false
      response.writeHead(202).end()
      peer.handle(message, (text) => stream()?.write(eventOf(text)), () => {})
      return true
    })
    return { config: { transport: "sse", url: server.url }, transports: Transports.layer, peer }
  })

const use = <A, E>(running: Running, f: (session: Session.Session) => Effect.Effect<A, E>) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.use("s", f)).pipe(
    Effect.provide(
      Sessions.layer({ servers: { s: running.config }, retry: RetryPolicy.never }).pipe(
        Layer.provide(Layer.merge(
          running.transports,
          Layer.succeed(ClientHandlers.ClientHandlers, { roots: () => Effect.succeed([{ uri: "file:///work" }]) })
        ))
      )
    )
  )

const call = (running: Running) =>
  use(running, (session) =>
    Effect.gen(function*() {
      const progress: Array<Mcp.Progress> = []
      const result = yield* session.callTool("pay", {}, {
        onProgress: (report) => Effect.sync(() => void progress.push(report))
      })
      const { era, warnings } = yield* session.connect
      return { result, progress, era, warnings }
    }))

const eras = ["legacy", "modern"] as const

const transports = {
  memory: { start: memory, eras },
  stdio: { start: stdio, eras },
  websocket: { start: webSocket, eras },
  "streamable_http, JSON": { start: streamableHttp("json"), eras },
  "streamable_http, streams": { start: streamableHttp("stream"), eras },
  sse: { start: sse, eras: ["legacy"] as const }
}

describe.concurrent("a server that mixes its messages with other text, and gives ids back as text", () => {
  for (const [name, { eras, start }] of Object.entries(transports)) {
    for (const era of eras) {
      it.live(`has its calls answered, and a warning that counts the rest: ${name}, ${era}`, () =>
        Effect.gen(function*() {
          const running = yield* start(era, "noisy")
          const answered = yield* call(running)
          assert.deepStrictEqual(answered.result.content, [{ type: "text", text: "paid" }])
          assert.deepStrictEqual(answered.progress, [{ progress: 1 }])
          assert.strictEqual(answered.era, era)
          assert.match(
            answered.warnings.join(),
            /\d (?:event|frame|value)s without a JSON-RPC message|non-JSON-RPC lines/
          )
          if (running.peer !== undefined) assert.deepStrictEqual(running.peer.ledger, ["call"])
        }).pipe(Effect.scoped))
    }
  }
})

describe.concurrent("a server that lists malformed tools among others", () => {
  for (const [name, { eras, start }] of Object.entries(transports)) {
    for (const era of eras) {
      it.live(`has the others listed: ${name}, ${era}`, () =>
        Effect.gen(function*() {
          const running = yield* start(era, "noisy")
          const tools = yield* use(running, (session) => session.listTools())
          assert.deepStrictEqual(tools.map(({ name }) => name), ["pay"])
        }).pipe(Effect.scoped))
    }
  }
})

describe.concurrent("a server whose result has more than the bounds of JSON allow", () => {
  for (const [name, { eras, start }] of Object.entries(transports)) {
    // In memory nothing is parsed.
    if (name === "memory") continue
    for (const era of eras) {
      for (const mode of ["deep", "wide"] as const) {
        it.live(`has its call fail as answered, and run once: ${name}, ${era}, ${mode}`, () =>
          Effect.gen(function*() {
            const running = yield* start(era, mode)
            const error = yield* Effect.flip(call(running))
            assert.deepInclude("reason" in error ? error.reason : error, {
              _tag: "InvalidResult",
              delivery: "Answered"
            })
            assert.match(error.message, /nested more than 512 levels deep|more than 250000 members/)
            if (running.peer !== undefined) assert.deepStrictEqual(running.peer.ledger, ["call"])
          }).pipe(Effect.scoped))
      }
    }
  }
})

describe.concurrent("a server that answers nothing before its own requests are answered", () => {
  for (const [name, { eras, start }] of Object.entries(transports)) {
    // A body of JSON cannot come in parts.
    if (name === "streamable_http, JSON") continue
    for (const era of eras) {
      it.live(`gets the answers during the handshake: ${name}, ${era}`, () =>
        Effect.gen(function*() {
          const running = yield* start(era, "asking")
          const { result } = yield* call(running)
          assert.deepStrictEqual(result.content, [{ type: "text", text: "paid" }])
          if (running.peer !== undefined) {
            assert.sameMembers([...running.peer.ledger], [
              "p {}",
              "r {\"roots\":[{\"uri\":\"file:///work\"}]}",
              "u -32601",
              "call"
            ])
          }
        }).pipe(Effect.scoped))
    }
  }
})
