/**
 * Tasks of 2025-11-25 that ask the user, over HTTP: a question stays open for as long as the user takes.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { until } from "../../fixtures/peer.ts"
import { sound } from "../../fixtures/soundOptions.ts"
import { startTaskServer } from "../../fixtures/taskServer.ts"

describe("a task of 2025-11-25 over HTTP", () => {
  it.live("keeps its question open beyond the request timeout, and gets the answer", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const answer = yield* Deferred.make<string>()
      let asked = 0
      const handlers: ClientHandlers.Handlers = {
        elicitation: {
          form: () =>
            Effect.suspend(() => {
              asked++
              return Effect.map(Deferred.await(answer), (name) => ({ action: "accept" as const, content: { name } }))
            })
        }
      }
      const sessions = Sessions.layer({
        servers: { s: { ...server.config, requestTimeout: "300 millis" } }
      }).pipe(Layer.provide([Transports.layer, Layer.succeed(ClientHandlers.ClientHandlers, handlers)]))
      yield* Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        const call = yield* Effect.forkChild(sound(callTool("s", "long", {}, { task: {} })), { startImmediately: true })
        yield* until(() => server.tasks().length, (count) => count === 1)
        const answered = yield* Effect.forkChild(server.ask("who?"), { startImmediately: true })
        yield* until(() => asked, (count) => count === 1)
        // A poll every 100 ms: the request timeout is long over.
        const before = server.count("POST tasks/get")
        yield* until(() => server.count("POST tasks/get"), (count) => count > before + 10)
        assert.strictEqual(server.count("POST notifications/cancelled"), 0)
        yield* Deferred.succeed(answer, "Ada")
        assert.deepStrictEqual(yield* Fiber.join(answered), { action: "accept", content: { name: "Ada" } })
        yield* server.resume
        yield* server.end({ text: "hello Ada" })
        const { content } = yield* Fiber.join(call)
        assert.deepStrictEqual(content, [{ type: "text", text: "hello Ada" }])
        assert.strictEqual(server.count("POST tasks/result"), 1)
        assert.strictEqual(asked, 1)
      }).pipe(Effect.provide(sessions))
    }).pipe(Effect.scoped))
})
