/**
 * Tests of `weather.ts` that start no server: its transports are swapped for a recording, and for a recording with faults.
 */
import { assert, describe, it } from "@effect/vitest"
import { Faulty, Recorded } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { program, recording, sessions } from "./weather.ts"

const replayed = Recorded.replay(recording)

describe("the weather", () => {
  it.effect("is shown with temperature and conditions", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* program, "33 degrees, Cloudy")
    }).pipe(Effect.provide(Layer.provide(sessions, replayed))))

  it.effect("is asked for again when the server cannot be reached at first", () => {
    const faulty = Faulty.layer({
      transports: replayed,
      faults: [{ at: "connect", nth: 1, what: Faulty.fail(Faulty.refused) }]
    })
    return Effect.gen(function*() {
      const running = yield* Effect.forkChild(program, { startImmediately: true })
      yield* TestClock.adjust("1 second") // the pause of the default retry policy
      assert.strictEqual(yield* Fiber.join(running), "33 degrees, Cloudy")
    }).pipe(Effect.provide(Layer.provide(sessions, faulty)))
  })

  it.effect("is not shown when the server answers with something else", () => {
    const faulty = Faulty.layer({
      transports: replayed,
      faults: [{ at: "answer", tool: "get-structured-content", what: Faulty.answer({ content: [] }) }]
    })
    return Effect.gen(function*() {
      const error = yield* Effect.flip(program)
      assert.strictEqual(error._tag === "SessionError" && error.reason._tag, "InvalidResult")
    }).pipe(Effect.provide(Layer.provide(sessions, faulty)))
  })
})
