import { assert, describe, it } from "@effect/vitest"
import { type ConfigError, RetryPolicy, type Session, type SessionError } from "@mcp-sessions/core"
import { Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import { type WebSocket, WebSocketServer } from "ws"
import { net, until } from "../../fixtures/peer.ts"
import { withSession } from "../../fixtures/withSession.ts"

const withSocket = <A, E>(config: object, use: (session: Session.Session) => Effect.Effect<A, E>) =>
  withSession({ transport: "websocket", ...config }, use)

/** A WebSocket server that answers the handshake and leaves tool calls, or what else is `handled`, to the handler. */
const start = (call: (socket: WebSocket, id: number) => void, accept = true, handled = "tools/call") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer()
      let connections = 0
      let upgrades = 0
      server.on("upgrade", () => upgrades++)
      if (accept) {
        new WebSocketServer({ server }).on("connection", (socket) => {
          connections++
          socket.on("message", (data) => {
            const { id, method } = JSON.parse(String(data))
            if (method === handled) call(socket, id)
            else if (method === "initialize") {
              socket.send(JSON.stringify({
                jsonrpc: "2.0",
                id,
                result: {
                  protocolVersion: "2025-06-18",
                  capabilities: { tools: {} },
                  serverInfo: { name: "s", version: "1" }
                }
              }))
            }
          })
        })
      } else server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n"))
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      return {
        server,
        url: `ws://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`,
        connections: () => connections,
        upgrades: () => upgrades
      }
    }),
    ({ server }) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  )

const lostIn = (error: SessionError.SessionError | ConfigError.ConfigError): string => {
  if (error._tag === "ConfigError") return error._tag
  return error.reason._tag === "OutcomeUnknown" ? error.reason.lost._tag : error.reason._tag
}

describe("a WebSocket connection", () => {
  it.live("sends the headers of the definition when it opens", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* net("websocket", "v1").start
      const { url } = config as { readonly url: string }
      yield* withSocket({ url, headers: { "x-key": "value" } }, (session) => session.ping)
      assert.deepStrictEqual(ledger("header"), ["value"])
    }).pipe(Effect.scoped))

  it.live("fails typed when the upgrade is refused with 401, and does not retry", () =>
    Effect.gen(function*() {
      const { upgrades, url } = yield* start(() => {}, false)
      const config = { transport: "websocket", url }
      const error = yield* Effect.flip(withSession(config, () => Effect.void, RetryPolicy.retryDefault))
      assert.strictEqual(lostIn(error), "AuthRequired")
      assert.strictEqual(upgrades(), 1)
    }).pipe(Effect.scoped))

  for (
    const [how, end] of [
      ["closes", (socket: WebSocket) => socket.close()],
      ["is cut off", (socket: WebSocket) => socket.terminate()]
    ] as const
  ) {
    it.live(`that ${how} during a call leaves its outcome unknown, and the next call reconnects`, () =>
      Effect.gen(function*() {
        let calls = 0
        const server = yield* start((socket, id) => {
          if (++calls === 1) end(socket)
          else socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: { content: [] } }))
        })
        yield* withSocket({ url: server.url, protocol: "legacy" }, (session) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(session.callTool("charge"))
            assert.strictEqual(lostIn(error), "TransportClosed")
            assert.strictEqual(calls, 1)
            yield* session.callTool("again")
            assert.strictEqual(yield* session.generation, 2)
          }))
        assert.strictEqual(server.connections(), 2)
      }).pipe(Effect.scoped))
  }

  it.live("takes silence on the era probe for a legacy server, without a second socket", () =>
    Effect.gen(function*() {
      const server = yield* start(() => {})
      yield* withSocket({ url: server.url, probeTimeout: "100 millis" }, (session) =>
        Effect.gen(function*() {
          const info = yield* session.connect
          assert.deepInclude(info, { era: "legacy", protocolVersion: "2025-06-18" })
        }))
      assert.strictEqual(server.connections(), 1)
    }).pipe(Effect.scoped))

  it.live("fails typed when the server closes on the era probe", () =>
    Effect.gen(function*() {
      const server = yield* start((socket) => socket.close(), true, "server/discover")
      const error = yield* Effect.flip(withSocket({ url: server.url }, () => Effect.void))
      assert.strictEqual(lostIn(error), "TransportClosed")
    }).pipe(Effect.scoped))

  it.live("ends on frames that are too large, and skips frames that are not JSON", () =>
    Effect.gen(function*() {
      const server = yield* start((socket, id) => {
        socket.send("not json")
        socket.send("[]")
        socket.send(
          JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "x".repeat(60_000) }] } })
        )
      })
      const error = yield* Effect.flip(
        withSocket({ url: server.url, protocol: "legacy", maxMessageBytes: 50_000 }, (session) => session.callTool("x"))
      )
      assert.strictEqual(lostIn(error), "MessageTooLarge")
    }).pipe(Effect.scoped))
})

/** What a client hears, in bytes, on the connection that it makes to a port next. */
const heardFrom = (port: number) =>
  Effect.gen(function*() {
    const wires: Array<Socket> = []
    const listener = (message: unknown) => void wires.push((message as { readonly socket: Socket }).socket)
    yield* Effect.acquireRelease(
      Effect.sync(() => subscribe("net.client.socket", listener)),
      () => Effect.sync(() => unsubscribe("net.client.socket", listener))
    )
    return () => wires.find(({ remotePort }) => remotePort === port)?.bytesRead ?? 0
  })

/** The beginning of a text frame of so many bytes. */
const frameOf = (length: number) => {
  const head = Buffer.alloc(10)
  head.writeUInt8(0x81, 0)
  head.writeUInt8(127, 1)
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

describe("a silent WebSocket", () => {
  /** A session with no questions from above, whose requests may take 15 seconds: a peer gets a second question and no third. */
  const config = { protocol: "legacy", healthInterval: 0, requestTimeout: "15 seconds", totalTimeout: "1 hour" }
  const quiet = TestClock.adjust("15 seconds")
  const live = <A>(get: () => A, holds: (value: A) => boolean) => TestClock.withLive(until(get, holds))

  it.effect("stays open while a large frame arrives slowly", () =>
    Effect.gen(function*() {
      const called = yield* Queue.unbounded<readonly [WebSocket, number]>()
      const server = yield* start((...call) => Queue.offerUnsafe(called, call))
      const heard = yield* heardFrom(Number(new URL(server.url).port))
      yield* withSocket({ url: server.url, ...config }, (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkChild(session.callTool("large", {}, { timeout: "10 minutes" }), {
            startImmediately: true
          })
          const [socket, id] = yield* Queue.take(called)
          const wire = (socket as unknown as { readonly _socket: Socket })._socket
          const body = Buffer.from(
            JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "x".repeat(1000) }] } })
          )
          wire.write(frameOf(body.length))
          for (let at = 0; at < body.length; at += 100) {
            const before = heard()
            wire.write(body.subarray(at, at + 100))
            yield* live(heard, (bytes) => bytes > before)
            yield* quiet
          }
          assert.strictEqual((yield* Fiber.join(call)).content.length, 1)
          assert.strictEqual(yield* session.generation, 1)
        }))
    }).pipe(Effect.scoped))

  for (const who of ["the server", "the client"]) {
    it.effect(`stays open while ${who} is busy for at most the request timeout`, () =>
      Effect.gen(function*() {
        const called = yield* Queue.unbounded<readonly [WebSocket, number]>()
        const server = yield* start((...call) => Queue.offerUnsafe(called, call))
        yield* withSocket({ url: server.url, ...config, requestTimeout: "1 minute" }, (session) =>
          Effect.gen(function*() {
            const call = yield* Effect.forkChild(session.callTool("slow", {}, { timeout: "10 minutes" }), {
              startImmediately: true
            })
            const [socket, id] = yield* Queue.take(called)
            if (who === "the server") {
              // It hears nothing, so it does not say that it is there.
              socket.pause()
              for (let n = 0; n < 4; n++) {
                yield* quiet
              }
              socket.resume()
            } else {
              // All the time at once: nothing that comes meanwhile is heard.
              yield* TestClock.adjust("1 minute")
            }
            socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: { content: [] } }))
            yield* Fiber.join(call)
            assert.strictEqual(yield* session.generation, 1)
          }))
      }).pipe(Effect.scoped))
  }
})
