/**
 * Scripted faults: their place, their number, and the calls that the server has run.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Faulty, Memory } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"

/** Servers `a` and `b` that record their tool calls, and faults between them and the program. */
const setting = (faults: ReadonlyArray<Faulty.Fault>, retry: RetryPolicy.RetryPolicy = RetryPolicy.never) => {
  const ran: Array<string> = []
  const serve = (name: string): Memory.Serve => (peer) => {
    serveStdio(() => {
      const server = new McpServer({ name, version: "1" }, { capabilities: { tools: {} } })
      for (const tool of ["charge", "read"]) {
        server.registerTool(tool, {}, () => {
          ran.push(`${name} ${tool}`)
          return { content: [{ type: "text", text: tool }] }
        })
      }
      return server
    }, { transport: peer })
  }
  const stdio = { transport: "stdio" as const, command: "none", args: [] }
  const layer = Sessions.layer({ servers: { a: stdio, b: stdio }, retry }).pipe(
    Layer.provide(Faulty.layer({ transports: Memory.layerTransports({ a: serve("a"), b: serve("b") }), faults }))
  )
  return { ran, layer }
}

const call = (server: string, tool: string) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool(server, tool))

const reasonOf = <E extends { readonly _tag: string; readonly reason?: SessionError.Reason }, A, R>(
  effect: Effect.Effect<A, E, R>
) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason?._tag === "OutcomeUnknown" ? reason.lost._tag : reason?._tag)

describe("scripted faults", () => {
  it.effect("strike only the nth match", () => {
    const { layer, ran } = setting([
      { at: "request", server: "a", tool: "charge", nth: 2, what: Faulty.fail(Faulty.refused) }
    ])
    return Effect.gen(function*() {
      yield* call("a", "charge")
      yield* call("b", "charge")
      yield* call("a", "read")
      assert.strictEqual(yield* reasonOf(call("a", "charge")), "ConnectionRefused")
      yield* call("a", "charge")
      assert.deepStrictEqual(ran, ["a charge", "b charge", "a read", "a charge"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("let the tool run once and leave its outcome unknown when they strike at the response", () => {
    const { layer, ran } = setting(
      [{ at: "answer", tool: "charge", nth: 1, what: Faulty.lose }],
      RetryPolicy.spaced({ retries: 2, delay: 0 })
    )
    return Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(call("a", "charge")), "TransportClosed")
      assert.deepStrictEqual(ran, ["a charge"])
      yield* call("a", "charge")
    }).pipe(Effect.provide(layer))
  })

  it.effect("are retried when they strike before the request", () => {
    const { layer, ran } = setting([{ at: "request", tool: "charge", nth: 1, what: Faulty.lose }])
    return Effect.gen(function*() {
      yield* call("a", "charge")
      assert.deepStrictEqual(ran, ["a charge"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("delay a request by the test clock", () => {
    const { layer, ran } = setting([{ at: "request", tool: "charge", what: Faulty.delay("30 seconds") }])
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("a", "charge"), { startImmediately: true })
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(ran, [])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer))
  })

  for (const at of ["connect", "initialize", "answer"] as const) {
    it.effect(`end at the request timeout when they hang (${at})`, () => {
      const { layer } = setting([{ at, nth: 1, tool: at === "answer" ? "charge" : undefined, what: Faulty.hang }])
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(reasonOf(call("a", "charge")), { startImmediately: true })
        yield* Effect.raceFirst(Fiber.await(fiber), Effect.forever(TestClock.adjust("10 seconds")))
        assert.strictEqual(yield* Fiber.join(fiber), at === "answer" ? "RequestTimeout" : "ConnectTimeout")
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("replace a result with a malformed one, which the client rejects", () => {
    const { layer } = setting([{
      at: "answer",
      method: "tools/call",
      nth: [1, 2],
      what: Faulty.answer({ content: 7 })
    }])
    return Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(call("a", "charge")), "InvalidResult")
      assert.strictEqual(yield* reasonOf(call("a", "charge")), "InvalidResult")
      yield* call("a", "charge")
    }).pipe(Effect.provide(layer))
  })

  it.effect("count the connect attempts of the retry policy", () => {
    const { layer } = setting(
      [{ at: "connect", server: "a", nth: [1, 2], what: Faulty.fail(Faulty.refused) }],
      RetryPolicy.spaced({ retries: 2, delay: "1 second" })
    )
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("a", "read"), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer))
  })
})
