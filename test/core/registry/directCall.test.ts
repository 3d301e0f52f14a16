/**
 * Direct calls: the lease of the shared session, and the owner whose session is used.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import * as RawServer from "../../fixtures/rawServer.ts"

const layerOf = (server: RawServer.RawServer, retry = RetryPolicy.never) =>
  Sessions.layer({
    servers: { s: { ...RawServer.definition, idleTimeToLive: "1 minute", requestTimeout: "10 seconds" } },
    circuit: Circuit.never,
    retry
  }).pipe(Layer.provide(RawServer.transports({ s: server })))

describe("the lease of a direct call", () => {
  it.effect("ends once when the call is interrupted between two attempts, so that a session of another caller stays open", () => {
    const server = RawServer.make()
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const held = yield* sessions.get("s")
      yield* held.callTool("warm")
      // Silent to calls alone: the ping after a timeout is answered, so that the connection stays.
      server.onRequest = () => {}
      const call = yield* start(sessions.callTool("s", "t", {}, { idempotent: true }))
      yield* TestClock.adjust("15 seconds")
      yield* Fiber.interrupt(call)
      yield* TestClock.adjust("10 minutes")
      server.onRequest = RawServer.empty
      yield* held.callTool("t")
      assert.strictEqual(server.closed, 0)
      assert.strictEqual(yield* held.generation, 1)
    }).pipe(Effect.scoped, Effect.provide(layerOf(server, RetryPolicy.spaced({ retries: 3, delay: "1 minute" }))))
  })

  it.effect("ends when the call is interrupted at any yield of its fiber, so that the idle session closes", () =>
    Effect.forEach(Array.from({ length: 100 }, (_, n) => 1950 + n), (pad) => {
      const server = RawServer.make()
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("s", "warm")
        const padded = Effect.gen(function*() {
          for (let n = 0; n < pad; n++) yield* Effect.void
          yield* callTool("s", "t", { unfit: pad % 2 === 0 ? 1n : 1 })
        })
        const fiber = Effect.runForkWith(yield* Effect.context<never>())(padded)
        fiber.interruptUnsafe()
        yield* Fiber.await(fiber)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(server.closed, 1, `${pad}`)
      }).pipe(Effect.provide(layerOf(server)))
    }, { discard: true }))
})

describe("the session of a direct call", () => {
  it.effect("is never that of another owner, whatever characters the names hold", () => {
    const server = RawServer.make()
    return Effect.gen(function*() {
      const { callTool, status } = yield* Sessions.Sessions
      yield* callTool("s", "t", {}, { owner: "a\0b" })
      for (const [name, owner] of [["b\0s", "a"], ["0s", "a\0b"], ["bs", "a\0"], ["\0bs", "a"]] as const) {
        assert.strictEqual((yield* Effect.flip(callTool(name, "t", {}, { owner })))._tag, "ConfigError")
      }
      assert.deepStrictEqual((yield* status("s")).connections.map(({ owner }) => owner), ["a\0b"])
      assert.deepStrictEqual(server.calls, ["t"])
    }).pipe(Effect.provide(layerOf(server)))
  })
})
