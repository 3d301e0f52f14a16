/**
 * Tasks of revision 2025-11-25 that ask the user: the server asks while `tasks/result` is in flight, and gives the question up with it.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import * as Scripted from "../../fixtures/scripted.ts"
import { sound } from "../../fixtures/soundOptions.ts"

const done = { content: [{ type: "text" as const, text: "done" }] }

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

/** A server whose task needs input from the start, and gives its result once `answer` is done. */
const asking = (options: { readonly poll?: Effect.Effect<void, SessionError.Reason> } = {}) => {
  const answer = Deferred.makeUnsafe<void>()
  let lost = Deferred.makeUnsafe<never, SessionError.Reason>()
  const state = { status: "input_required", results: 0, withdrawn: 0, polls: 0 }
  const script = Scripted.make({
    info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } },
    answer: ({ method, params }) => {
      const task = { taskId: "t1", ttl: null, createdAt: "", lastUpdatedAt: "", status: state.status }
      switch (method) {
        case "tools/call":
          return Effect.succeed(params?.name === "long" ? { task } : done)
        case "tasks/get":
          state.polls++
          return Effect.as(options.poll ?? Effect.void, task)
        case "tasks/result":
          state.results++
          return Effect.raceFirst(Deferred.await(answer), Deferred.await(lost)).pipe(
            Effect.as(done),
            Effect.onInterrupt(() => Effect.sync(() => state.withdrawn++))
          )
        default:
          return Effect.succeed({})
      }
    }
  })
  const layer = (maxInFlight = 64) =>
    Scripted.sessions(script, {
      servers: { s: { transport: "stdio", command: "s", healthInterval: 0, maxInFlight } }
    })
  const lose = Effect.suspend(() => {
    const before = lost
    lost = Deferred.makeUnsafe()
    return Effect.andThen(script.lose(gone), Deferred.fail(before, gone))
  })
  return { lose, state, answer: Deferred.succeed(answer, undefined), layer }
}

const call = Effect.flatMap(Sessions.Sessions, (sessions) => sound(sessions.callTool("s", "long", {}, { task: {} })))

describe("a task of 2025-11-25 that needs input", () => {
  it.effect("is asked for its result once, however long the user takes", () => {
    const { answer, layer, state } = asking()
    return Effect.gen(function*() {
      const fiber = yield* start(call)
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(state, { results: 1, withdrawn: 0 })
      yield* answer
      assert.deepStrictEqual(yield* settled(fiber), Exit.succeed(done))
      assert.deepInclude(state, { results: 1, withdrawn: 0 })
    }).pipe(Effect.provide(layer()))
  })

  it.effect("is asked for its result once with a timeout of the call, which holds for the polls", () => {
    const { answer, layer, state } = asking()
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const fiber = yield* start(sound(sessions.callTool("s", "long", {}, { task: {}, timeout: "5 seconds" })))
      yield* TestClock.adjust("1 hour")
      yield* answer
      assert.deepStrictEqual(yield* settled(fiber), Exit.succeed(done))
      assert.deepInclude(state, { results: 1, withdrawn: 0 })
    }).pipe(Effect.provide(layer()))
  })

  it.effect("holds no permit of its server meanwhile", () => {
    const { answer, layer, state } = asking()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const waiting = yield* start(Effect.all([call, call], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.results, 2)
      assert.deepStrictEqual(yield* callTool("s", "quick"), done)
      yield* answer
      yield* TestClock.adjust("1 second")
      assert.strictEqual(waiting.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(layer(1)))
  })

  it.effect("fails once its server does not respond to polls any more", () => {
    const { layer } = asking({ poll: Effect.never })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.flip(call))
      const exit = yield* settled(fiber, 600)
      assert.strictEqual(exit?._tag === "Success" && exit.value.reason._tag, "OutcomeUnknown")
    }).pipe(Effect.provide(layer()))
  })

  it.effect("asks again on the next connection after the connection was lost", () => {
    const { answer, layer, lose, state } = asking()
    return Effect.gen(function*() {
      const fiber = yield* start(call)
      yield* TestClock.adjust("2 seconds")
      yield* lose
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(state.results, 2)
      yield* answer
      yield* TestClock.adjust("1 second")
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(layer()))
  })

  it.effect("fails with TaskCancelled when its server cancels it", () => {
    const { layer, state } = asking()
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.flip(call))
      yield* TestClock.adjust("2 seconds")
      state.status = "cancelled"
      const exit = yield* settled(fiber)
      assert.strictEqual(exit?._tag === "Success" && exit.value.reason._tag, "TaskCancelled")
    }).pipe(Effect.provide(layer()))
  })

  it.effect("is asked for its result again if it ends without an answer to the request in flight", () => {
    const { answer, layer, state } = asking()
    return Effect.gen(function*() {
      const fiber = yield* start(call)
      yield* TestClock.adjust("2 seconds")
      state.status = "completed"
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(state, { results: 2, withdrawn: 1 })
      yield* answer
      yield* TestClock.adjust("1 second")
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(layer()))
  })
})
