/**
 * Admission of requests under both a bulkhead and a rate limit.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("a request that waits for a permit", () => {
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

  it.effect("also waits for the delay that a 429 response requires", () => {
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

  it.effect("also keeps to the rate limit", () => {
    const { answers, layer, script } = held({ maxInFlight: 1, rateLimit: { limit: 1, window: "1 second" } })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach(
        Array.from({ length: 6 }, (_, n) => `${n}`),
        (tool) => start(Effect.exit(callTool("s", tool)))
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(script.requests.length, 1)
      // Each response admits the next request, which adds its own response to the list.
      for (const answer of answers) yield* Deferred.succeed(answer, { content: [] })
      assert.isAtMost(script.requests.length, 2)
    }).pipe(Effect.provide(layer))
  })
})
