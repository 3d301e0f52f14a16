/**
 * Half-open connections, on a real network and a test clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type ServerConfig, type Session, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Context, Effect, Fiber, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import { http, isAlive, net, type Peer, stdio, until } from "../fixtures/peer.ts"
import { read } from "../fixtures/read.ts"
import { tcpProxy } from "../fixtures/tcpProxy.ts"

const live = <A>(get: () => A, holds: (value: A) => boolean) => TestClock.withLive(until(get, holds))

const sessionOf = (options: Parameters<typeof Sessions.layer>[0]) =>
  Effect.map(Layer.build(Sessions.layer(options).pipe(Layer.provide(Transports.layer))), Context.get(Sessions.Sessions))
    .pipe(Effect.flatMap((sessions) => sessions.get("s")))

/** A session through a proxy. */
const through = Effect.fnUntraced(function*(peer: Peer) {
  const { config, ledger } = yield* peer.start
  if (config.transport === "stdio") return assert.fail("there is no network to a process")
  const url = new URL(String(config.url))
  const proxy = yield* tcpProxy(Number(url.port))
  url.port = String(proxy.port)
  const session = yield* sessionOf({
    servers: { s: { ...config, url: String(url), healthInterval: 0 } as ServerConfig.ServerConfigInput },
    retry: RetryPolicy.never
  })
  return { session, proxy, ledger }
})

/** A session with a separate server process. */
const withProcess = Effect.fnUntraced(function*(sdk: "v1" | "v2") {
  const { config, ledger } = yield* stdio(sdk).start
  return { session: yield* sessionOf({ servers: { s: { ...config, healthInterval: 0 } } }), ledger }
})

/** Runs a call that times out, and waits for the ping that follows it. */
const silence = Effect.fnUntraced(function*(session: Session.Session) {
  const call = yield* Effect.forkChild(Effect.flip(session.callTool("hang", { id: "1" })), { startImmediately: true })
  yield* TestClock.adjust("60 seconds")
  const { reason } = yield* Fiber.join(call)
  assert.strictEqual(reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag, "RequestTimeout")
  yield* TestClock.adjust("10 seconds")
})

describe.concurrent("a half-open connection", () => {
  for (const peer of [net("sse", "v1"), net("websocket", "v1")]) {
    it.effect(`is detected by a call that times out, and replaced: ${peer.name} [A5 ii]`, () =>
      Effect.gen(function*() {
        const { proxy, session } = yield* through(peer)
        yield* session.callTool("echo", { message: "x" })
        proxy.freeze()
        yield* silence(session)
        const { content } = yield* session.callTool("echo", { message: "back" })
        assert.deepStrictEqual(content, [{ type: "text", text: "back" }])
        assert.strictEqual(yield* session.generation, 2)
      }).pipe(Effect.scoped))
  }

  for (const version of ["v1", "v2"] as const) {
    it.effect(`times out one call over HTTP and keeps the session: ${version} [A5 ii]`, () =>
      Effect.gen(function*() {
        const { ledger, proxy, session } = yield* through(http(version))
        const call = yield* Effect.forkChild(Effect.flip(session.callTool("hang", { id: "1" })), {
          startImmediately: true
        })
        yield* live(() => ledger("hang"), (started) => started.length === 1)
        proxy.freeze()
        yield* TestClock.adjust("60 seconds")
        const { reason } = yield* Fiber.join(call)
        assert.strictEqual(reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag, "RequestTimeout")
        const { content } = yield* session.callTool("echo", { message: "back" })
        assert.deepStrictEqual(content, [{ type: "text", text: "back" }])
        assert.strictEqual(yield* session.generation, 1)
        assert.deepStrictEqual(ledger("hang"), ["1"])
      }).pipe(Effect.scoped))
  }

  it.effect("is not detected on a WebSocket while its peer answers pings", () =>
    Effect.gen(function*() {
      const { ledger, session } = yield* through(net("websocket", "v2"))
      // The handshake counts as contact.
      yield* TestClock.adjust("15 seconds")
      for (let asked = 1; asked <= 3; asked++) {
        yield* TestClock.adjust("15 seconds")
        yield* live(() => ledger("ping"), (pings) => pings.length >= asked)
        yield* session.ping
        yield* TestClock.adjust("15 seconds")
      }
      assert.strictEqual(yield* session.generation, 1)
    }).pipe(Effect.scoped))

  it.effect("is detected on an idle WebSocket, and subscribers receive Listening on the next connection", () =>
    Effect.gen(function*() {
      const { proxy, session } = yield* through(net("websocket", "v2"))
      const notifications = yield* read(session.notifications)
      yield* Queue.take(notifications)
      proxy.freeze()
      yield* TestClock.adjust("15 seconds")
      yield* TestClock.adjust("15 seconds")
      const next = yield* Effect.forkChild(Queue.take(notifications), { startImmediately: true })
      // The socket closes in real time; the next connect follows within a second of test time.
      yield* Effect.raceFirst(
        Fiber.await(next),
        Effect.forever(Effect.andThen(TestClock.adjust("1 second"), TestClock.withLive(Effect.sleep("10 millis"))))
      )
      assert.deepStrictEqual(yield* Fiber.join(next), { _tag: "Listening", generation: 2 })
    }).pipe(Effect.scoped))
})

describe.concurrent("a slow server", () => {
  it.effect("keeps its connection while it answers pings", () =>
    Effect.gen(function*() {
      const { ledger, session } = yield* withProcess("v2")
      const started = live(() => ledger("hang"), (started) => started.length === 1)
      const call = yield* Effect.forkChild(Effect.flip(session.callTool("hang", { id: "1" })), {
        startImmediately: true
      })
      yield* started
      yield* TestClock.adjust("60 seconds")
      yield* Fiber.join(call)
      // The response to the ping arrives in real time.
      yield* session.ping
      yield* TestClock.adjust("10 seconds")
      yield* session.callTool("echo", { message: "x" })
      assert.strictEqual(yield* session.generation, 1)
      assert.strictEqual(ledger("process").length, 1)
    }).pipe(Effect.scoped))

  it.effect("loses its connection when its process is stopped, and a new process answers", () =>
    Effect.gen(function*() {
      const { ledger, session } = yield* withProcess("v1")
      const { pid = 0 } = yield* session.connect
      process.kill(pid, "SIGSTOP")
      yield* silence(session)
      const { content } = yield* session.callTool("echo", { message: "back" })
      assert.deepStrictEqual(content, [{ type: "text", text: "back" }])
      assert.deepStrictEqual(ledger("hang"), [])
      // The stopped process is killed in real time.
      yield* live(() => ledger("process").filter(isAlive), (alive) => alive.length === 1)
    }).pipe(Effect.scoped))
})
