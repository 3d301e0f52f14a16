/**
 * The shared connections of owners: leased by calls and sessions, and closed after an idle time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, ConfigError, RetryPolicy, Sessions, Transport } from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const configError = new ConfigError.ConfigError({
  problems: [new ConfigError.UnsupportedTransport({ server: "s", path: [], transport: "stdio", validNames: [] })]
})

/** A server whose tool `slow` responds when the test says so, and that keeps idle connections for 10 seconds. */
const make = (config: object = { idleTimeToLive: "10 seconds" }) => {
  const answers: Array<Deferred.Deferred<unknown>> = []
  const script = Scripted.make({
    answer: ({ params }) => {
      if (params?.name !== "slow") return Effect.succeed({ content: [] })
      const answer = Deferred.makeUnsafe<unknown>()
      answers.push(answer)
      return Deferred.await(answer)
    }
  })
  const respond = Effect.suspend(() => Deferred.succeed(answers.shift() ?? assert.fail(), { content: [] }))
  return { respond, script, layer: Scripted.sessions(script, { servers: { s: { ...stdio, ...config } } }) }
}

describe("a shared connection", () => {
  it.effect("stays open beyond its idle time while a direct call is in flight", () => {
    const { layer, respond, script } = make()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      // The first call takes the way of a session object, the second the direct one.
      yield* callTool("s", "quick")
      yield* TestClock.adjust("9 seconds")
      const call = yield* start(callTool("s", "slow"))
      yield* TestClock.adjust("25 seconds")
      assert.strictEqual(script.open, 1)
      yield* respond
      yield* Fiber.join(call)
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.open, 0)
      assert.deepStrictEqual(script.requests, ["1:tools/call:quick", "1:tools/call:slow"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts its idle time from the end of the last of several calls", () => {
    const { layer, respond, script } = make()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "quick")
      for (let n = 0; n < 5; n++) {
        yield* TestClock.adjust("7 seconds")
        yield* callTool("s", "quick")
      }
      const calls = yield* Effect.forEach([1, 2], () => start(callTool("s", "slow")))
      yield* respond
      yield* TestClock.adjust("15 seconds")
      yield* respond
      yield* Effect.forEach(calls, Fiber.join)
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(script.connects, [0])
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts its idle time from the interruption of a direct call", () => {
    const { layer, script } = make()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "quick")
      const call = yield* start(callTool("s", "slow"))
      yield* TestClock.adjust("15 seconds")
      yield* Fiber.interrupt(call)
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts its idle time from the end of a direct call that failed", () => {
    const { layer, script } = make({ idleTimeToLive: "10 seconds", requestTimeout: "20 seconds" })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "quick")
      const call = yield* start(Effect.exit(callTool("s", "slow", {}, { retry: RetryPolicy.never })))
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("closes with the end of the last call if it has no idle time", () => {
    const { layer, respond, script } = make({ idleTimeToLive: 0 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = yield* Effect.forEach([1, 2], () => start(callTool("s", "slow")))
      yield* TestClock.adjust("10 seconds")
      yield* respond
      yield* TestClock.adjust(0)
      assert.strictEqual(script.open, 1)
      yield* respond
      yield* Effect.forEach(calls, Fiber.join)
      yield* TestClock.adjust(0)
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is looked up again after a lookup that failed, by callers who waited for it and by later ones", () => {
    const { script } = make()
    let lookups = 0
    const flaky = Layer.succeed(Transport.Transports, {
      transport: () =>
        Layer.unwrap(Effect.suspend(() =>
          ++lookups === 1
            ? Effect.andThen(Effect.sleep("1 second"), Effect.fail(configError))
            : Effect.succeed(script.transport)
        ))
    })
    const layer = Sessions.layer({ servers: { s: stdio }, circuit: Circuit.never }).pipe(Layer.provide(flaky))
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = yield* Effect.forEach([1, 2, 3], () => start(Effect.flip(callTool("s", "quick"))))
      yield* TestClock.adjust("1 second")
      for (const call of calls) assert.strictEqual((yield* Fiber.join(call))._tag, "ConfigError")
      assert.strictEqual(lookups, 1)
      yield* callTool("s", "quick")
      assert.strictEqual(lookups, 2)
      assert.deepStrictEqual(script.requests, ["1:tools/call:quick"])
    }).pipe(Effect.provide(layer))
  })
})

describe("closing all sessions", () => {
  /** A server whose connections take a second to close, and whose tool `slow` does not respond. */
  const make = () => {
    const ends: Array<string> = []
    const script = Scripted.make({
      connect: () =>
        Effect.addFinalizer(() =>
          Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => ends.push("connection closed")))
        ) as Effect.Effect<void, never, Scope.Scope>,
      answer: ({ params }) => params?.name === "slow" ? Effect.never : Effect.succeed({ content: [] })
    })
    const layer = Scripted.sessions(script, { servers: { s: { ...stdio, idleTimeToLive: "10 seconds" } } })
    const use = <E>(use: (callTool: Sessions.Sessions["Service"]["callTool"]) => Effect.Effect<unknown, E>) =>
      Effect.flatMap(Sessions.Sessions, ({ callTool }) => Effect.andThen(callTool("s", "quick"), use(callTool))).pipe(
        Effect.provide(layer),
        Effect.andThen(Effect.sync(() => ends.push("sessions closed")))
      )
    return { ends, use }
  }

  it.effect("waits for a connection that is being closed after its idle time", () =>
    Effect.gen(function*() {
      const { ends, use } = make()
      const closing = yield* start(use(() => Effect.sleep("10500 millis")))
      yield* TestClock.adjust("10999 millis")
      assert.deepStrictEqual(ends, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ends, ["connection closed", "sessions closed"])
    }))

  it.effect("waits for a connection with a direct call in flight, which ends with it", () =>
    Effect.gen(function*() {
      const { ends, use } = make()
      const closing = yield* start(use((callTool) =>
        Effect.forkDetach(
          Effect.onError(callTool("s", "slow"), () => Effect.sync(() => ends.push("call failed"))),
          { startImmediately: true }
        )
      ))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(ends, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ends, ["connection closed", "call failed", "sessions closed"])
    }))
})
