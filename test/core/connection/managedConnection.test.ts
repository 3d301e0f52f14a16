/**
 * Managed connections at the moments at which they are lost, dropped, or die before they are ready.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const errorCount = Effect.flatMap(
  Sessions.Sessions,
  ({ status }) => Effect.map(status("s"), ({ health }) => health.errorCount)
)

const exited = new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "Unknown" })

describe("the loss of a connection", () => {
  for (const isRequestFirst of [true, false]) {
    const order = isRequestFirst
      ? "requests report it before the channel does"
      : "the channel reports it before the requests do"
    it.effect(`counts once as a failure of the server, with five requests in flight, if the ${order}`, () => {
      const gone = Deferred.makeUnsafe<never, SessionError.Reason>()
      const script = Scripted.make({ answer: () => Deferred.await(gone) })
      return Effect.gen(function*() {
        const session = yield* get
        const calls = yield* Effect.forEach([1, 2, 3, 4, 5], () => start(Effect.flip(session.callTool("charge"))))
        assert.strictEqual(script.requests.length, 5)
        const report = [Deferred.fail(gone, exited), script.lose(exited)]
        yield* Effect.all(isRequestFirst ? report : report.toReversed())
        for (const call of calls) assert.strictEqual((yield* Fiber.join(call)).reason._tag, "OutcomeUnknown")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* errorCount, 1)
        assert.strictEqual(script.open, 0)
        assert.deepStrictEqual(script.connects, [0])
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("counts again for the next connection", () => {
    const script = Scripted.make({ answer: () => Effect.fail(exited) })
    return Effect.gen(function*() {
      const session = yield* get
      for (const count of [1, 1]) {
        yield* Effect.flip(session.callTool("charge", {}, { retry: RetryPolicy.never }))
        assert.strictEqual(yield* errorCount, count)
      }
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("dropping a connection", () => {
  it.effect("closes it even if the caller is interrupted in the moment of the loss", () => {
    const gone = Deferred.makeUnsafe<never, SessionError.Reason>()
    const script = Scripted.make({ answer: () => Deferred.await(gone) })
    return Effect.gen(function*() {
      const session = yield* get
      const call = yield* start(session.callTool("charge"))
      yield* start(
        Stream.runForEach(
          session.stateChanges,
          ({ _tag }) => _tag === "Ready" ? Effect.void : Effect.sync(() => call.interruptUnsafe())
        )
      )
      yield* Deferred.fail(gone, exited)
      yield* Fiber.await(call)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(script.open, 0)
      yield* TestClock.adjust("1 hour")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (let steps = 0; steps < 8; steps++) {
    it.effect(`closes it even if a restart is interrupted after ${steps} steps`, () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* get
        const restart = yield* Effect.forkChild(sessions.restart("s"))
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* Fiber.interrupt(restart)
        yield* TestClock.adjust("1 second")
        const { state } = session
        assert.strictEqual(script.open, (yield* state)._tag === "Ready" ? 1 : 0)
        yield* session.callTool("echo")
        assert.strictEqual(script.open, 1)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }
})

describe("a channel that dies during the handshake", () => {
  it.effect("fails the attempt with its reason, leaves nothing open, and is replaced by the retry policy", () => {
    const script: Scripted.Script = Scripted.make({
      initialize: (attempt) =>
        attempt === 1
          ? Effect.andThen(script.lose(unsent), Effect.fail(unsent))
          : Effect.void
    })
    const unsent = new SessionError.TransportClosed({ delivery: "NotSent" })
    return Effect.gen(function*() {
      const opening = yield* start(get)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([script.connects, script.open], [[0], 0])
      assert.strictEqual(yield* errorCount, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(opening)
      assert.deepStrictEqual([script.connects, script.open], [[0, 1000], 1])
      assert.strictEqual(yield* errorCount, 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is not used by anyone, although the handshake succeeded in the moment of its end", () => {
    const script: Scripted.Script = Scripted.make({
      initialize: (attempt) => attempt === 1 ? Effect.asVoid(script.lose(exited)) : Effect.void
    })
    return Effect.gen(function*() {
      const session = yield* get
      yield* TestClock.adjust("1 second")
      assert.strictEqual(script.open, 0)
      assert.strictEqual(yield* errorCount, 1)
      yield* session.callTool("echo")
      assert.deepStrictEqual(script.requests, ["2:tools/call:echo"])
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is replaced without a failure of the server if a manual handshake was not made yet", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { open } = yield* Sessions.Sessions
      const manual = yield* open("s", { handshake: "manual" })
      assert.deepStrictEqual([script.connects.length, script.open], [1, 1])
      yield* script.lose(exited)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(script.open, 0)
      assert.strictEqual(yield* errorCount, 0)
      const session = yield* manual.initialize
      yield* session.callTool("echo")
      assert.deepStrictEqual(script.requests, ["2:tools/call:echo"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
