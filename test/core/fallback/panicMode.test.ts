/**
 * Panic mode: selects one server per window while every server is unfit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, FallbackPolicy, RetryPolicy, type Session, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { call, fleet, lost, named, refused, run, two } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("panic mode", () => {
  it.effect("admits one operation per window to the server with the fewest failures, and readmits it when it answers", () => {
    const members = { ...two(), tertiary: named("tertiary") }
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    const all = ["primary", "secondary", "tertiary"] as const
    const connects = () => Object.values(members).map(({ script }) => script.connects.length)
    return Effect.gen(function*() {
      const { status } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(call({ servers: all }))
      assert.deepStrictEqual(connects(), [4, 4, 4])
      assert.strictEqual((yield* status("primary")).circuit.state, "open")
      // All circuits are open: panic mode tries one server despite its circuit, and no other until the window ends.
      for (let n = 0; n < 20; n++) {
        const failed = yield* Effect.flip(call({ servers: all }))
        assert(failed._tag === "AllServersFailed")
        assert.strictEqual(failed.errors.length, 3)
      }
      assert.deepStrictEqual(connects(), [5, 4, 4])
      yield* TestClock.adjust("5 seconds")
      yield* Effect.flip(call({ servers: all }))
      // The first has one failure more than the others now.
      assert.deepStrictEqual(connects(), [5, 5, 4])
      yield* TestClock.adjust("4999 millis")
      yield* Effect.flip(call({ servers: all }))
      assert.deepStrictEqual(connects(), [5, 5, 4])
      for (const { trouble } of Object.values(members)) trouble.connect = undefined
      yield* TestClock.adjust("1 millis")
      for (let n = 0; n < 3; n++) assert.strictEqual(yield* call({ servers: all }), "tertiary")
      assert.strictEqual((yield* status("tertiary")).circuit.state, "open")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* call({ servers: all }), "tertiary")
      assert.strictEqual((yield* status("tertiary")).circuit.state, "closed")
    }).pipe(Effect.provide(fleet(members, {
      circuit: { failures: 4, openFor: "1 minute" },
      fallback: { ...FallbackPolicy.fallbackDefault, probeInterval: "1 hour" }
    })))
  })

  it.effect("does not readmit a server whose connection was lost during the tool call", () => {
    const members = { primary: named("primary") }
    let reads = 0
    members.primary.trouble.answer = (method) =>
      method === "tools/call" || ++reads % 2 === 0 ? Effect.fail(lost) : undefined
    const once = (operation: (session: Session.Session) => Effect.Effect<unknown, SessionError.SessionError>) =>
      Effect.flatMap(start(Effect.exit(run(operation, { servers: ["primary"] }))), (fiber) => settled(fiber, 2))
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) {
        yield* once((session) => Effect.andThen(session.readResource("a:"), session.readResource("b:")))
      }
      // The only attempt of this window.
      yield* once((session) => session.callTool("charge"))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      yield* once((session) => session.callTool("charge"))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("leaves a circuit open when the operation never reached the server", () => {
    let isLocked = false
    const script = Scripted.make({
      answer: () => Effect.fail(new SessionError.HttpFailed({ status: 500, delivery: "Rejected" }))
    })
    return Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("s", "t"))
      isLocked = true
      yield* Effect.flip(withFallback({ servers: ["s"] }, (session) => session.callTool("t")))
      isLocked = false
      const before = script.requests.length
      yield* Effect.flip(callTool("s", "t"))
      assert.strictEqual(script.requests.length, before)
    }).pipe(Effect.provide(Scripted.sessions(script, {
      circuit: Circuit.circuitDefault,
      retry: RetryPolicy.never,
      credentials: ({ owner }) =>
        Effect.suspend(() => isLocked ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({}))
    })))
  })
})
