/**
 * Requests of 2026-07-28 over every transport: metadata, input, result types, progress, cancellation.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ClientHandlers,
  RetryPolicy,
  type ServerConfig,
  type Session,
  Sessions,
  type Transport
} from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import { WebSocketServer } from "ws"
import { makeModernPeer } from "../../fixtures/modernPeer.ts"
import { fixture } from "../../fixtures/peer.ts"

interface Running {
  readonly config: ServerConfig.ServerConfigInput
  readonly transports: Layer.Layer<Transport.Transports>
}

interface Kind {
  readonly name: string
  readonly start: Effect.Effect<Running, never, Scope.Scope>
}

const isOpen = (response: ServerResponse): boolean => !response.writableEnded

/** Serves HTTP. With `isStreaming` every response is an event stream, otherwise those with notifications are. */
const http = (isStreaming: boolean) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const peer = makeModernPeer()
      const server = createServer(async (request, response) => {
        let body = ""
        for await (const chunk of request.setEncoding("utf8")) body += chunk
        const message = JSON.parse(body)
        response.on("close", () => {
          if (isOpen(response)) peer.ledger.push("aborted")
        })
        peer.handle(message, (answer) => {
          const isResponse = typeof answer === "object" && answer !== null && "id" in answer
          if (isResponse && !isStreaming && !response.headersSent) {
            response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer))
            return
          }
          if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" })
          response.write(`data: ${JSON.stringify(answer)}\n\n`)
          if (isResponse) response.end()
        })
        if (message.id === undefined) response.writeHead(202).end()
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      return { server, port: typeof address === "object" ? address?.port : 0 }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map(({ port }): Running => ({
    config: { transport: "streamable_http", url: `http://127.0.0.1:${port}/mcp` },
    transports: Transports.layer
  })))

const stdio = Effect.succeed<Running>({
  config: { transport: "stdio", command: process.execPath, args: [fixture("modernPeer.ts")] },
  transports: Transports.layer
})

const webSocket = Effect.acquireRelease(
  Effect.promise(async () => {
    const peer = makeModernPeer()
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
    server.on("connection", (socket) => {
      socket.on(
        "message",
        (data) => peer.handle(JSON.parse(String(data)), (message) => socket.send(JSON.stringify(message)))
      )
    })
    await once(server, "listening")
    return server
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server): Running => {
  const address = server.address()
  const port = typeof address === "object" ? address?.port : 0
  return { config: { transport: "websocket", url: `ws://127.0.0.1:${port}/` }, transports: Transports.layer }
}))

const memory = Effect.sync((): Running => {
  const { handle } = makeModernPeer()
  return {
    config: { transport: "stdio", command: "s", args: [] },
    transports: Memory.layerTransports({
      s: (peer) => {
        peer.onmessage = (message) =>
          handle(message as Parameters<typeof handle>[0], (answer) => void peer.send(answer as typeof message))
        return peer.start()
      }
    })
  }
})

const kinds: ReadonlyArray<Kind> = [
  { name: "HTTP with JSON", start: http(false) },
  { name: "HTTP with event streams", start: http(true) },
  { name: "stdio", start: stdio },
  { name: "WebSocket", start: webSocket },
  { name: "memory", start: memory }
]

const textOf = (result: { readonly content: ReadonlyArray<{ readonly type: string; readonly text?: unknown }> }) =>
  JSON.parse(String(result.content[0]?.text))

const ledgerOf = (session: Session.Session) =>
  Effect.map(session.callTool("ledger"), (result) => textOf(result) as ReadonlyArray<string>)

const use = <A, E>(
  kind: Kind,
  use: (session: Session.Session) => Effect.Effect<A, E>,
  handlers: ClientHandlers.Handlers = {}
) =>
  Effect.gen(function*() {
    const { config, transports } = yield* kind.start
    const layer = Sessions.layer({
      servers: { s: { ...config, protocol: "2026-07-28" } as ServerConfig.ServerConfigInput },
      retry: RetryPolicy.never
    }).pipe(Layer.provide(Layer.merge(transports, Layer.succeed(ClientHandlers.ClientHandlers, handlers))))
    return yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
      Effect.flatMap(use),
      Effect.scoped,
      Effect.provide(layer)
    )
  }).pipe(Effect.scoped)

for (const kind of kinds) {
  describe.concurrent(`a session of 2026-07-28 over ${kind.name}`, () => {
    it.live("sends the metadata of the revision with each request, and returns the result without its type", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const result = yield* session.callTool("echo", { region: "eu" })
          assert.notProperty(result, "resultType")
          const { arguments: args, meta } = textOf(result)
          assert.deepStrictEqual(args, { region: "eu" })
          assert.strictEqual(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28")
          assert.isString(meta["io.modelcontextprotocol/clientInfo"].name)
          assert.deepStrictEqual(meta["io.modelcontextprotocol/clientCapabilities"], {})
          assert.notProperty(meta, "io.modelcontextprotocol/logLevel")
        })))

    it.live("answers a request for input, and sends the first round once", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          for (let round = 0; round < 2; round++) {
            assert.deepStrictEqual(textOf(yield* session.callTool("ask")), {
              inputResponses: { who: { action: "accept", content: { name: "Ada" } } },
              requestState: "state 1"
            })
          }
          const calls = (yield* ledgerOf(session)).filter((what) => what === "tools/call ask")
          assert.strictEqual(calls.length, 4)
        }), { elicitation: { form: () => Effect.succeed({ action: "accept", content: { name: "Ada" } }) } }))

    it.live("fails on results without a known type, and does not send the call again", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          for (const tool of ["bare", "later"]) {
            const { reason } = yield* Effect.flip(session.callTool(tool))
            assert.strictEqual(reason._tag, "InvalidResult")
          }
          const calls = (yield* ledgerOf(session)).filter((what) => what === "tools/call bare")
          assert.strictEqual(calls.length, 1)
        })))

    it.live("fails a call that asks for input which the client cannot give, as answered", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const { reason } = yield* Effect.flip(session.callTool("ask"))
          assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
        })))

    it.live("passes progress on before the result", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const seen: Array<unknown> = []
          const onProgress = (progress: unknown) => Effect.sync(() => void seen.push(progress))
          yield* session.callTool("progress", {}, { onProgress })
          assert.deepStrictEqual(seen, [{ progress: 1, total: 2, message: "half" }])
        })))

    it.live("asks for log messages with each request once a level is set", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          yield* session.setLogLevel("warning")
          const { meta } = textOf(yield* session.callTool("echo"))
          assert.strictEqual(meta["io.modelcontextprotocol/logLevel"], "warning")
        })))

    it.live("cancels an interrupted call in the way of the transport, and stays usable", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(session.callTool("hang"), { startImmediately: true })
          const isSent = (ledger: ReadonlyArray<string>) => ledger.includes("tools/call hang")
          yield* Effect.repeat(ledgerOf(session), { until: isSent })
          yield* Fiber.interrupt(fiber)
          const isTold = (what: string) =>
            kind.name.startsWith("HTTP") ? what === "aborted" : what.startsWith("notifications/cancelled")
          const ledger = yield* Effect.repeat(ledgerOf(session), { until: (ledger) => ledger.some(isTold) })
          const notices = ledger.filter((what) => what.startsWith("notifications/cancelled"))
          assert.strictEqual(notices.length, kind.name.startsWith("HTTP") ? 0 : 1)
          assert.strictEqual(yield* session.generation, 1)
        })))
  })
}
