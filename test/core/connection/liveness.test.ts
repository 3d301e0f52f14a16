/**
 * Liveness: a server that answers no ping is replaced, whatever is in flight; a call that is declared long-running is not given up for it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, type Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** A server whose first connection answers no ping. `long` is answered when the test says so, `quick` at once on later connections. */
const setting = (options: {
  readonly healthInterval: string | number
  readonly requestTimeout?: string | number
  readonly progressEvery?: Duration.Input
  readonly circuit?: Circuit.CircuitPolicy
}) => {
  const { circuit = Circuit.never, progressEvery, ...config } = options
  const answered = Deferred.makeUnsafe<void>()
  const script = Scripted.make({
    answer: ({ connection, method, params, report }) => {
      if (params?.name === "long") {
        const working = progressEvery === undefined
          ? Effect.never
          : Effect.forever(Effect.delay(Effect.sync(() => report({ progress: 1 })), progressEvery))
        return Effect.raceFirst(Effect.as(Deferred.await(answered), { content: [] }), working)
      }
      return connection > 1 || method === "initialize" ? Effect.succeed({ content: [] }) : Effect.never
    }
  })
  const server = { transport: "stdio", command: "s", args: [], totalTimeout: "2 hours" } as const
  const layer = Scripted.sessions(script, {
    servers: { s: { ...server, ...config } },
    circuit,
    retry: RetryPolicy.never
  })
  return { script, layer, answer: Deferred.succeed(answered, undefined) }
}

const reasonOf = <A>(call: Fiber.Fiber<A, SessionError.SessionError>) =>
  Effect.map(Effect.flip(Fiber.join(call)), ({ reason }) => reason)

const session = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

describe("a server that answers no ping after a request has timed out", () => {
  it.effect("is replaced under steady traffic, and the calls in flight end with OutcomeUnknown at once", () => {
    const { layer } = setting({ healthInterval: 0, requestTimeout: "2 seconds" })
    return Effect.gen(function*() {
      const { callTool, connect, generation } = yield* session
      yield* connect
      for (let n = 0; n < 29; n++) {
        yield* start(callTool("quick"))
        yield* TestClock.adjust("400 millis")
      }
      assert.strictEqual(yield* generation, 1)
      const last = yield* start(callTool("quick"))
      yield* TestClock.adjust("400 millis")
      assert.deepInclude(yield* reasonOf(last), { _tag: "OutcomeUnknown" })
      yield* callTool("quick")
      assert.strictEqual(yield* generation, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is replaced for new calls, while a call with a long timeout of its own waits for its answer", () => {
    const { answer, layer, script } = setting({ healthInterval: 0, requestTimeout: "2 seconds" })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      const long = yield* start(callTool("long", {}, { timeout: "1 hour" }))
      yield* start(callTool("quick"))
      yield* TestClock.adjust("12 seconds")
      yield* callTool("quick")
      assert.strictEqual(yield* generation, 2)
      assert.isUndefined(long.pollUnsafe())
      assert.strictEqual(script.open, 2)
      yield* answer
      assert.deepStrictEqual(yield* Fiber.join(long), { content: [] })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("a server that answers no ping, with a circuit", () => {
  it.effect("is replaced as soon as without one: a probe of the circuit ends with the connection that it is made on", () => {
    const { layer } = setting({ healthInterval: 0, requestTimeout: "2 seconds", circuit: Circuit.circuitDefault })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      for (let n = 0; n < 30; n++) {
        yield* start(callTool("quick"))
        yield* TestClock.adjust("400 millis")
      }
      yield* TestClock.adjust("3 seconds")
      yield* callTool("quick")
      assert.strictEqual(yield* generation, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("a server that answers no ping when its connection is quiet", () => {
  it.effect("is not replaced while it works on a call with a long timeout of its own", () => {
    const { answer, layer } = setting({ healthInterval: "5 seconds" })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      const long = yield* start(callTool("long", {}, { timeout: "1 hour" }))
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual(yield* generation, 1)
      yield* answer
      assert.deepStrictEqual(yield* Fiber.join(long), { content: [] })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is not replaced while it works on a call that reports progress", () => {
    const { answer, layer } = setting({ healthInterval: "5 seconds", progressEvery: "40 seconds" })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      const long = yield* start(callTool("long", {}, { onProgress: () => {}, timeout: "50 seconds" }))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* generation, 1)
      yield* answer
      assert.deepStrictEqual(yield* Fiber.join(long), { content: [] })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is replaced while it works on another call, which ends with OutcomeUnknown", () => {
    const { layer } = setting({ healthInterval: "5 seconds" })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      const call = yield* start(callTool("long"))
      yield* TestClock.adjust("14 seconds")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* reasonOf(call), { _tag: "OutcomeUnknown" })
      yield* callTool("quick")
      assert.strictEqual(yield* generation, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("may work on a call for the whole of the default timeout, whenever the connection was last used", () => {
    const { answer, layer } = setting({ healthInterval: "60 seconds" })
    return Effect.gen(function*() {
      const { callTool, generation } = yield* session
      // The probe of the quiet connection is due soon after the call.
      yield* TestClock.adjust("47 seconds")
      const call = yield* start(callTool("long"))
      yield* TestClock.adjust("59 seconds")
      yield* answer
      assert.deepStrictEqual(yield* Fiber.join(call), { content: [] })
      assert.strictEqual(yield* generation, 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})
