/**
 * Ejected servers: nothing is sent to them until they are readmitted.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

const outcome = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t")).pipe(
  Effect.match({
    onSuccess: () => "ok",
    onFailure: (error) => error._tag === "SessionError" ? error.reason._tag : error._tag
  })
)

const circuitOf = Effect.flatMap(
  Sessions.Sessions,
  ({ status }) => Effect.map(status("s"), ({ circuit }) => circuit.state)
)

for (
  const [name, circuit] of [["with a circuit", Circuit.circuitDefault], ["without a circuit", Circuit.never]] as const
) {
  describe(`an ejected server ${name}`, () => {
    it.effect("refuses calls at once and gets no connect, even from programs that hold a session of it", () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.get("s")
        assert.strictEqual(yield* outcome, "ok")
        yield* sessions.eject("s")
        assert.deepStrictEqual([yield* outcome, yield* circuitOf], ["ServerEjected", "ejected"])
        const { reason } = yield* Effect.flip(session.connect)
        assert.strictEqual(reason._tag, "ServerEjected")
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual([script.connects.length, script.open, script.requests.length], [1, 0, 1])
      }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script, { circuit })))
    })

    it.effect("is called again on a new connection once it is readmitted", () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        yield* sessions.get("s")
        yield* sessions.eject("s")
        assert.strictEqual(yield* outcome, "ServerEjected")
        yield* sessions.readmit("s")
        assert.deepStrictEqual([yield* outcome, yield* circuitOf], ["ok", "closed"])
        assert.strictEqual(script.connects.length, 2)
      }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script, { circuit })))
    })
  })
}

describe("ejecting a server", () => {
  it.effect("lets the calls in flight end with their responses", () => {
    const answered = Deferred.makeUnsafe<void>()
    const script = Scripted.make({ answer: () => Effect.as(Deferred.await(answered), { content: [] }) })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      yield* sessions.get("s")
      const call = yield* Effect.forkChild(outcome, { startImmediately: true })
      yield* sessions.eject("s")
      yield* Deferred.succeed(answered, undefined)
      assert.strictEqual(yield* Fiber.join(call), "ok")
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("refuses the calls that wait for a connection that is being retried", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    return Effect.gen(function*() {
      const { eject } = yield* Sessions.Sessions
      const call = yield* Effect.forkChild(outcome, { startImmediately: true })
      yield* TestClock.adjust("10 millis")
      yield* eject("s")
      assert.strictEqual(yield* Fiber.join(call), "ServerEjected")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is reported with its end to those that follow the status", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { eject, readmit, statusChanges } = yield* Sessions.Sessions
      const seen: Array<string> = []
      yield* Effect.forkScoped(
        statusChanges("s").pipe(Stream.runForEach(({ circuit }) => Effect.sync(() => seen.push(circuit.state)))),
        { startImmediately: true }
      )
      yield* TestClock.adjust(0)
      yield* eject("s")
      yield* TestClock.adjust(0)
      yield* readmit("s")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(seen, ["closed", "ejected", "closed"])
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })
})
