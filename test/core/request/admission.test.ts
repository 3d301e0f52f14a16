/**
 * Turns where there are both places and a rate to wait for.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("turns", () => {
  const held = (config: object) => {
    const answers: Array<Deferred.Deferred<unknown, SessionError.Reason>> = []
    const script = Scripted.make({
      answer: () => {
        const answer = Deferred.makeUnsafe<unknown, SessionError.Reason>()
        answers.push(answer)
        return Deferred.await(answer)
      }
    })
    return { answers, script, layer: Scripted.sessions(script, { servers: { s: { ...stdio, ...config } } }) }
  }

  it.effect("of those who wait for a place wait for the pause that a 429 asks for as well", () => {
    const { answers, layer, script } = held({ maxInFlight: 1 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* start(Effect.exit(callTool("s", "a", {}, { retry: RetryPolicy.never })))
      yield* Effect.forEach(["b", "c", "d"], (tool) => start(Effect.exit(callTool("s", tool))))
      yield* Deferred.fail(
        answers[0] ?? assert.fail(),
        new SessionError.HttpFailed({ status: 429, retryAfter: "30", delivery: "Rejected" })
      )
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(script.requests, ["1:tools/call:a"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("keep to the rate also when they waited for a place", () => {
    const { answers, layer, script } = held({ maxInFlight: 1, rateLimit: { limit: 1, window: "1 second" } })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach(
        Array.from({ length: 6 }, (_, n) => `${n}`),
        (tool) => start(Effect.exit(callTool("s", tool)))
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(script.requests.length, 1)
      // Each answer brings the next request, and its answer into the list.
      for (const answer of answers) yield* Deferred.succeed(answer, { content: [] })
      assert.isAtMost(script.requests.length, 2)
    }).pipe(Effect.provide(layer))
  })
})
