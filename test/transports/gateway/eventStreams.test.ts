/**
 * The event streams of a gateway.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/eventStreams.ts"
import { makeResponse } from "../../fixtures/response.ts"

describe("an event stream", () => {
  it.effect("carries a comment every 25 seconds until it ends", () =>
    Effect.gen(function*() {
      const streams = yield* EventStreams.make(() => 0)
      const { response, text } = makeResponse()
      streams.begin(response)
      yield* TestClock.adjust("24 seconds")
      assert.strictEqual(text(), "")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(text(), ": keep-alive\n\n")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(text(), ": keep-alive\n\n".repeat(3))
      response.emit("close")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(streams.size, 0)
      assert.strictEqual(text(), ": keep-alive\n\n".repeat(3))
    }))

  it.effect("ends within a second after its authorization has expired", () =>
    Effect.gen(function*() {
      let now = 0
      const streams = yield* EventStreams.make(() => now)
      const [short, long] = [makeResponse(), makeResponse()]
      for (const { response } of [short, long]) streams.begin(response)
      streams.endAt(short.response, 10_000)
      streams.endAt(long.response, undefined)
      for (const [time, isOver] of [[9_999, false], [10_000, true]] as const) {
        now = time
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(short.response.writableEnded, isOver)
      }
      assert.isFalse(long.response.writableEnded)
    }))
})
