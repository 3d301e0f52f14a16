/**
 * Servers that do not read what is written to them, or ask more than they take answers to: what they cost is bounded.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, type Connection, ServerConfig, Sessions, Transport } from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import type { JSONRPCMessage, Transport as SdkTransport } from "@modelcontextprotocol/client"
import { Cause, Deferred, Effect, Exit, Layer, type Scope, Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { replyLimit } from "../../../packages/transports/src/internal/jsonRpc/orderedInbox.ts"
import { outboxLimit } from "../../../packages/transports/src/internal/jsonRpc/outbox.ts"
import { outgoing } from "../../fixtures/outgoing.ts"
import { fixture, makeLedger, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { withServer, withSession } from "../../fixtures/withSession.ts"

interface Sent extends Connection.OutgoingRequest {
  readonly name: string
  readonly outcomes: Array<Exit.Exit<unknown, { readonly _tag: string; readonly delivery: string }>>
}

const request = (name: string, length: number): Sent => {
  const outcomes: Sent["outcomes"] = []
  return {
    ...outgoing({
      params: { name, arguments: { text: "x".repeat(length) } },
      settle: (outcome) => outcomes.push(outcome)
    }),
    name,
    outcomes
  }
}

const endOf = ({ outcomes: [outcome] }: Sent): string => {
  if (outcome === undefined) return "none"
  if (Exit.isSuccess(outcome)) return JSON.stringify(outcome.value)
  const failure = Cause.findError(outcome.cause)
  return failure._tag === "Success" ? `${failure.success._tag} ${failure.success.delivery}` : "defect"
}

const lengthResult = (length: number) => ({ content: [{ type: "text", text: String(length) }] })

const initialized = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: {} },
  serverInfo: { name: "late", version: "1" }
}

/** A server that stops to read once it is initialized. */
interface LateReader {
  readonly config: ServerConfig.ServerConfigInput
  readonly hasStopped: () => boolean
  readonly resume: () => void
  /** The tools that it has run. */
  readonly ran: () => ReadonlyArray<string>
}

const lateReaders: Readonly<Record<string, Effect.Effect<LateReader, never, Scope.Scope>>> = {
  stdio: Effect.map(makeLedger, ({ file, read }) => ({
    config: {
      transport: "stdio",
      command: process.execPath,
      args: [fixture("lateReader.mjs"), file],
      protocol: "legacy"
    },
    // The ledger notes a word and a value.
    hasStopped: () => read("stopped").length > 0,
    resume: () => {
      for (const pid of read("process")) process.kill(Number(pid), "SIGUSR2")
    },
    ran: () => read("call")
  })),
  websocket: Effect.acquireRelease(
    Effect.promise(async () => {
      const ran: Array<string> = []
      let socket: WebSocket | undefined
      let isLate = false
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
      server.on("connection", (accepted) => {
        socket = accepted
        accepted.on("message", (data) => {
          const { id, method, params } = JSON.parse(String(data))
          const answer = (result: unknown) => accepted.send(JSON.stringify({ jsonrpc: "2.0", id, result }))
          if (method === "initialize") return answer(initialized)
          if (method === "notifications/initialized") {
            isLate = true
            accepted.pause()
          }
          if (method !== "tools/call") return
          ran.push(params.name)
          answer(lengthResult(params.arguments.text.length))
        })
      })
      await new Promise((resolve) => server.once("listening", resolve))
      const { port } = server.address() as { readonly port: number }
      return {
        server,
        port,
        ran,
        hasStopped: () => isLate,
        resume: () => socket?.resume(),
        // A paused socket would not see the close frame.
        close: () => {
          socket?.terminate()
          server.close()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ hasStopped, port, ran, resume }) => ({
    config: { transport: "websocket", url: `ws://127.0.0.1:${port}/`, protocol: "legacy" } as const,
    hasStopped,
    resume,
    ran: () => ran
  })))
}

const connect = Effect.fnUntraced(function*(reader: LateReader) {
  const [definition] = yield* ServerConfig.decodeServers({ servers: { s: reader.config }, path: [] })
  if (definition === undefined) return assert.fail("one definition decodes to one")
  const factory = yield* Effect.provide(Transport.Transports, Transports.layer)
  const transport = yield* Effect.provide(Transport.Transport, yield* Layer.build(factory.transport(definition)))
  const connection = yield* transport.connect
  yield* connection.initialize
  yield* until(reader.hasStopped, (hasStopped) => hasStopped)
  return connection
})

const megabyte = 1024 ** 2

for (const [kind, start] of Object.entries(lateReaders)) {
  describe(`a server over ${kind} that does not read`, () => {
    it.live("is sent no more than the limit; the rest fails as not sent, and what waits runs once, in order, when it reads", () =>
      Effect.gen(function*() {
        const reader = yield* start
        const connection = yield* connect(reader)
        const requests = Array.from({ length: 40 }, (_, n) => request(`tool-${n}`, megabyte))
        for (const each of requests) connection.send(each)
        const refused = requests.filter((each) => endOf(each) === "QueueFull NotSent")
        const kept = requests.filter((each) => endOf(each) === "none")
        assert.strictEqual(refused.length + kept.length, requests.length)
        const waiting = kept.filter(({ isWritten }) => !isWritten)
        assert.isAtMost(waiting.length * megabyte, outboxLimit)
        // What the operating system took, or began to.
        assert.isAtMost(kept.length - waiting.length, 3)
        assert.isAtLeast(waiting.length, 2)
        // Nothing of it has left, so the server will never see it.
        const given = waiting[1] ?? assert.fail("nothing waits")
        connection.cancel(given)
        const small = request("small", 1)
        connection.send(small)
        assert.strictEqual(endOf(small), "none")
        reader.resume()
        const expected = [...kept.filter((each) => each !== given), small]
        yield* until(() => expected.filter((each) => endOf(each) === "none").length, (open) => open === 0)
        assert.deepStrictEqual(reader.ran(), expected.map(({ name }) => name))
        assert.strictEqual(endOf(expected[0] ?? small), JSON.stringify(lengthResult(megabyte)))
        assert.strictEqual(endOf(given), "none")
        assert.isFalse(given.isWritten)
      }).pipe(Effect.scoped))

    it.live("receives one request that is larger than the limit, once it reads", () =>
      Effect.gen(function*() {
        const reader = yield* start
        const connection = yield* connect(reader)
        const large = request("large", outboxLimit + megabyte)
        connection.send(large)
        reader.resume()
        yield* until(() => endOf(large), (end) => end !== "none")
        assert.strictEqual(endOf(large), JSON.stringify(lengthResult(outboxLimit + megabyte)))
      }).pipe(Effect.scoped))

    it.live("ends the requests that wait as not sent when the connection closes", () =>
      Effect.gen(function*() {
        const reader = yield* start
        const requests = Array.from({ length: 6 }, (_, n) => request(`tool-${n}`, megabyte))
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* connect(reader)
          for (const each of requests) connection.send(each)
        }))
        const deliveries = requests.map((each) => endOf(each).split(" ")[1])
        assert.deepStrictEqual(deliveries, requests.map(({ isWritten }) => isWritten ? "Unknown" : "NotSent"))
        assert.include(deliveries, "NotSent")
      }).pipe(Effect.scoped))
  })
}

describe("a server that asks more than it takes answers to", () => {
  it.live("over HTTP, gets a bounded number of replies and sockets, and the connection works on", () =>
    withServer(
      ({ message, request: { method }, response }) => {
        if (method === "GET") {
          response.writeHead(200, { "content-type": "text/event-stream" })
          for (let n = 0; n < 3000; n++) response.write(Http.event({ jsonrpc: "2.0", id: `p${n}`, method: "ping" }))
          response.write(Http.event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }))
          return true
        }
        // A reply, which is never acknowledged.
        return message.method === undefined && method === "POST"
      },
      (session, server) =>
        Effect.gen(function*() {
          // It arrives after all the requests.
          yield* session.notifications.pipe(
            Stream.takeUntil(({ _tag }) => _tag === "ToolsChanged"),
            Stream.runDrain
          )
          const replies = () => server.count("POST")
          yield* until(replies, (count) => count >= 2 * replyLimit)
          assert.strictEqual(replies(), 2 * replyLimit)
          assert.isAtMost(server.sockets(), 2 * replyLimit + 4)
          assert.deepStrictEqual((yield* session.callTool("echo")).content, [{ type: "text", text: "ok" }])
          const { warnings } = yield* session.connect
          assert.include(warnings.join("; "), `${replyLimit} refused, ${3000 - 2 * replyLimit} ignored`)
        })
    ))

  it.live("over SSE, gets a bounded number of replies and sockets, and the connection works on", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ message, request: { method }, response }, stream) => {
        if (message.method === "notifications/initialized") {
          response.writeHead(202).end()
          for (let n = 0; n < 3000; n++) stream()?.write(Http.event({ jsonrpc: "2.0", id: `p${n}`, method: "ping" }))
          return true
        }
        // A reply, which is never acknowledged.
        return message.method === undefined && method === "POST"
      })
      yield* withSession({ transport: "sse", url: server.url }, (session) =>
        Effect.gen(function*() {
          // Its response arrives after all the requests.
          yield* session.callTool("echo")
          const { warnings } = yield* session.connect
          assert.include(warnings.join("; "), `${replyLimit} refused, ${3000 - 2 * replyLimit} ignored`)
          yield* until(() => server.count("POST"), (count) => count >= 2 * replyLimit)
          assert.strictEqual(server.count("POST"), 2 * replyLimit)
          assert.isAtMost(server.sockets(), 2 * replyLimit + 4)
        }))
      yield* until(server.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("runs a bounded number of handlers at a time, and refuses the other requests", () =>
    Effect.gen(function*() {
      const asked = 200
      const answers: Array<JSONRPCMessage> = []
      const serve = (peer: SdkTransport) => {
        peer.onmessage = (message: JSONRPCMessage) => {
          if (!("method" in message)) return void answers.push(message)
          if (!("id" in message)) return
          if (message.method === "initialize") {
            return void peer.send({ jsonrpc: "2.0", id: message.id, result: initialized })
          }
          for (let n = 0; n < asked; n++) {
            const params = { messages: [], maxTokens: 1 }
            void peer.send({ jsonrpc: "2.0", id: `s${n}`, method: "sampling/createMessage", params })
          }
          void peer.send({ jsonrpc: "2.0", id: "ping", method: "ping" })
          void peer.send({ jsonrpc: "2.0", id: message.id, result: { content: [] } })
        }
        return peer.start()
      }
      const release = yield* Deferred.make<void>()
      let running = 0
      let peak = 0
      const handlers: ClientHandlers.Handlers = {
        sampling: () =>
          Effect.gen(function*() {
            peak = Math.max(peak, ++running)
            yield* Deferred.await(release)
            running--
            return { role: "assistant", model: "m", content: { type: "text", text: "hello" } } as const
          })
      }
      const layer = Sessions.layer({
        servers: { s: { transport: "stdio", command: "none", args: [], protocol: "legacy" } }
      }).pipe(
        Layer.provide(
          Layer.merge(Memory.layerTransports({ s: serve }), Layer.succeed(ClientHandlers.ClientHandlers, handlers))
        )
      )
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        yield* session.callTool("x")
        const refusals = () => answers.filter((answer) => "error" in answer && answer.error.code === -32000)
        yield* until(() => refusals().length, (count) => count >= asked - 32)
        assert.strictEqual(running, 32)
        // A ping needs no handler.
        yield* until(() => answers.some((answer) => "id" in answer && answer.id === "ping"), (hasAnswer) => hasAnswer)
        yield* Deferred.succeed(release, undefined)
        yield* until(() => answers.length, (count) => count === asked + 1)
        assert.strictEqual(refusals().length, asked - 32)
        assert.strictEqual(peak, 32)
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})
