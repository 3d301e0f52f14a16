/**
 * The negotiation of the era over a WebSocket, with a server that answers late or refuses.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { WebSocketServer } from "ws"
import { type EraServerOptions, makeEraServer } from "../../fixtures/eraServer.ts"
import { until } from "../../fixtures/peer.ts"

const start = (behaviour: EraServerOptions["behaviour"]) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const lines: Array<string> = []
      const gate: Array<() => void> = []
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
      server.on("connection", (socket) => {
        lines.push("socket")
        const take = makeEraServer({
          behaviour,
          exit: () => socket.terminate(),
          ledger: (line: string) => lines.push(line),
          send: (message: object) => socket.send(JSON.stringify(message)),
          whenOpen: (then: () => void) => gate.push(then)
        })
        socket.on("message", (data) => take(JSON.parse(String(data))))
      })
      await once(server, "listening")
      const address = server.address()
      return {
        server,
        url: `ws://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`,
        count: (line: string) => lines.filter((other) => other === line).length,
        answers: () => lines.filter((line) => line.startsWith("answer ")).length,
        openGate: () => gate.forEach((then) => then())
      }
    }),
    ({ server }) => Effect.promise(() => new Promise<void>((resolve) => server.close(() => resolve())))
  )

const connectTo = (
  behaviour: EraServerOptions["behaviour"],
  meanwhile: (server: Effect.Success<ReturnType<typeof start>>) => Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const server = yield* start(behaviour)
    const connected = yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        Effect.flatMap(
          Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")),
          (session) => session.connect
        ),
        { startImmediately: true }
      )
      yield* meanwhile(server)
      return yield* Fiber.join(fiber)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Sessions.layer({
          servers: { s: { transport: "websocket", url: server.url, probeTimeout: "3 seconds" } },
          retry: RetryPolicy.never
        }).pipe(Layer.provide(Transports.layer))
      )
    )
    return { connected, server }
  }).pipe(Effect.scoped)

describe("a WebSocket server", () => {
  it.effect("is of the modern era if it answers the probe late, although it refuses initialize", () =>
    Effect.gen(function*() {
      const { connected, server } = yield* connectTo(
        { discover: "late", initialize: "refused" },
        (server) =>
          Effect.gen(function*() {
            yield* TestClock.withLive(until(() => server.count("message server/discover"), (count) => count === 1))
            yield* TestClock.adjust("3 seconds")
            // The server pings after its refusal: the answer shows that the refusal has arrived.
            yield* TestClock.withLive(until(server.answers, (count) => count === 1))
            server.openGate()
          })
      )
      assert.strictEqual(connected.era, "modern")
      assert.deepStrictEqual(
        ["socket", "message server/discover", "message initialize"].map(server.count),
        [1, 1, 1]
      )
    }))

  it.effect("gets one fresh socket for initialize alone if it refuses both messages", () =>
    Effect.gen(function*() {
      const { connected, server } = yield* connectTo({ discover: "unknown", initialize: "first" }, () => Effect.void)
      assert.strictEqual(connected.era, "legacy")
      assert.deepStrictEqual(
        ["socket", "message server/discover", "message initialize"].map(server.count),
        [2, 1, 2]
      )
    }))

  it.effect("gets its ping answered before the era is known", () =>
    Effect.gen(function*() {
      const behaviour = { discover: "modern", initialize: "legacy", pings: true }
      const { connected } = yield* connectTo(behaviour, () => Effect.void)
      assert.strictEqual(connected.era, "modern")
    }))
})
