/**
 * Connects to servers that accept a connection and never respond, and to names with zero or several addresses.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import dns from "node:dns"
import { once } from "node:events"
import { syncBuiltinESMExports } from "node:module"
import { createServer } from "node:net"
import { afterEach, vi } from "vitest"
import { until } from "../../fixtures/peer.ts"
import { withServer, withSession } from "../../fixtures/withSession.ts"

/** A server that accepts connections and reads, and never writes a byte. */
const silent = Effect.acquireRelease(
  Effect.promise(async () => {
    const seen = { accepted: 0, open: 0 }
    const server = createServer((socket) => {
      seen.accepted++
      seen.open++
      socket.resume().on("error", () => {}).on("close", () => seen.open--)
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    return { server, seen, port: typeof address === "object" ? address?.port : 0 }
  }),
  ({ server }) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
)

describe("a server that accepts a connection and never answers", () => {
  for (
    const [transport, scheme] of [["streamable_http", "http"], ["sse", "http"], ["websocket", "ws"]] as const
  ) {
    it.effect(`fails the connect exactly at the connect timeout and closes its sockets, over ${transport}`, () =>
      Effect.gen(function*() {
        const { port, seen } = yield* silent
        const layer = Sessions.layer({
          servers: { s: { transport, url: `${scheme}://127.0.0.1:${port}/`, connectTimeout: "20 seconds" } },
          retry: RetryPolicy.never
        }).pipe(Layer.provide(Transports.layer))
        yield* Effect.gen(function*() {
          const opening = yield* Effect.forkChild(
            Effect.flip(Effect.scoped(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")))),
            { startImmediately: true }
          )
          yield* TestClock.withLive(until(() => seen.accepted, (accepted) => accepted > 0))
          yield* TestClock.adjust("19999 millis")
          assert.isUndefined(opening.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          const error = yield* Fiber.join(opening)
          assert.deepInclude(error._tag === "SessionError" ? error.reason : error, {
            _tag: "ConnectTimeout",
            timeout: 20_000,
            delivery: "NotSent"
          })
          // The sockets close before the scope does.
          yield* TestClock.withLive(until(() => seen.open, (open) => open === 0))
        }).pipe(Effect.provide(layer))
      }).pipe(Effect.scoped))
  }
})

// `syncBuiltinESMExports` updates the bindings that modules have imported.
const resolveTo = (answer: (callback: (error: Error | null, found?: unknown) => void) => void): void => {
  vi.spyOn(dns, "lookup").mockImplementation(
    ((_: string, __: object, callback: () => void) => answer(callback)) as never
  )
  syncBuiltinESMExports()
}

afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
})

describe("a host name", () => {
  it.live("connects to its second address at once when the first is dead", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(() => false, (_, server) =>
        Effect.gen(function*() {
          const { port } = new URL(server.url)
          resolveTo((callback) => callback(null, ["127.0.0.2", "127.0.0.1"].map((address) => ({ address, family: 4 }))))
          const url = `http://example.test:${port}/mcp`
          yield* withSession({ transport: "streamable_http", url, protocol: "legacy" }, (session) =>
            session.callTool("x"))
        }))
      assert.strictEqual(server.count("POST tools/call x"), 1)
    }))

  for (
    const [code, transport, scheme] of [
      ["ENOTFOUND", "streamable_http", "http"],
      ["EAI_AGAIN", "sse", "http"],
      ["ENOTFOUND", "websocket", "ws"]
    ] as const
  ) {
    it.live(`fails with a typed, retryable error when it is not found (${code}, ${transport})`, () =>
      Effect.gen(function*() {
        resolveTo((callback) => callback(Object.assign(new Error("no"), { code })))
        const error = yield* Effect.flip(
          withSession({ transport, url: `${scheme}://example.test/mcp` }, (session) => session.ping)
        )
        assert.deepInclude(error._tag === "SessionError" ? error.reason : error, {
          _tag: "ConnectionRefused",
          code,
          isRetryable: true,
          delivery: "NotSent"
        })
      }))
  }
})
