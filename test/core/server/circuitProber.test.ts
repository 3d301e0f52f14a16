/**
 * Probes of an open circuit: made in the background for those who hold a session or were refused, and for nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Circuit, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

const circuit: Circuit.CircuitPolicy = { failures: 4, openFor: "1 second" }

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })
const failing = new SessionError.HttpFailed({ status: 500, delivery: "Unknown" })

const outcome = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t")).pipe(
  Effect.match({
    onSuccess: () => "ok",
    onFailure: (error) => error._tag === "SessionError" ? error.reason._tag : error._tag
  })
)

/** A server that cannot be connected while `isAway` is set. */
const setting = () => {
  const state = { isAway: false }
  const script = Scripted.make({
    connect: () => Effect.suspend(() => state.isAway ? Effect.fail(Scripted.refused) : Effect.void)
  })
  return { state, script, layer: Scripted.sessions(script, { circuit, retry: RetryPolicy.never }) }
}

const circuitOf = Effect.flatMap(
  Sessions.Sessions,
  ({ status }) => Effect.map(status("s"), ({ circuit }) => circuit.state)
)

const until = <E, R>(isReached: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    while (!(yield* isReached)) yield* TestClock.adjust("100 millis")
  })

describe("an open circuit of a server whose session is held", () => {
  it.effect("is closed by a connect in the background, and the next call is answered on that connection", () => {
    const { layer, script, state } = setting()
    return Effect.gen(function*() {
      const { get } = yield* Sessions.Sessions
      yield* get("s")
      state.isAway = true
      yield* script.lose(gone)
      for (let n = 0; n < 4; n++) yield* outcome
      const attempts = script.connects.length
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(script.connects.length, attempts + 5)
      assert.strictEqual(yield* circuitOf, "open")
      state.isAway = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* circuitOf, "closed")
      assert.strictEqual(script.connects.length, attempts + 6)
      assert.strictEqual(yield* outcome, "ok")
      assert.strictEqual(script.connects.length, attempts + 6)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is not probed after the session was released", () => {
    const { layer, script, state } = setting()
    return Effect.gen(function*() {
      const { get } = yield* Sessions.Sessions
      const scope = yield* Scope.make()
      yield* Scope.provide(get("s"), scope)
      state.isAway = true
      yield* script.lose(gone)
      for (let n = 0; n < 4; n++) yield* outcome
      yield* TestClock.adjust("2 seconds")
      yield* Scope.close(scope, Exit.void)
      const attempts = script.connects.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(script.connects.length, attempts)
    }).pipe(Effect.provide(layer))
  })
})

describe("an open circuit of a server whose session nobody holds", () => {
  it.effect("is probed once for the calls that were refused since the last probe, and else not", () => {
    const { layer, script, state } = setting()
    return Effect.gen(function*() {
      assert.strictEqual(yield* outcome, "ok")
      state.isAway = true
      yield* script.lose(gone)
      while ((yield* circuitOf) === "closed") yield* outcome
      const attempts = script.connects.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(script.connects.length, attempts)
      // The open time is over, so this call is the probe.
      yield* outcome
      assert.strictEqual(script.connects.length, attempts + 1)
      for (let n = 0; n < 10; n++) assert.strictEqual(yield* outcome, "ServerDown")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(script.connects.length, attempts + 2)
    }).pipe(Effect.provide(layer))
  })
})

describe("a probe of a server that is connected", () => {
  it.effect("is a ping, and its answer lets one call through, which decides", () => {
    let isBroken = true
    const script = Scripted.make({
      answer: ({ method }) =>
        method === "ping" || !isBroken ? Effect.delay(Effect.succeed({ content: [] }), 10) : Effect.fail(failing)
    })
    const layer = Scripted.sessions(script, { circuit, retry: RetryPolicy.never })
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* outcome, "OutcomeUnknown")
      assert.strictEqual(yield* outcome, "ServerDown")
      yield* until(Effect.map(circuitOf, (state) => state === "half-open"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(script.requests.slice(4), ["1:ping"])
      assert.strictEqual(yield* outcome, "OutcomeUnknown")
      assert.strictEqual(yield* outcome, "ServerDown")
      isBroken = false
      yield* until(Effect.map(circuitOf, (state) => state === "half-open"))
      yield* TestClock.adjust("1 second")
      const calls = yield* Effect.forkChild(Effect.all([outcome, outcome], { concurrency: "unbounded" }), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(calls), ["ok", "ServerDown"])
      assert.strictEqual(yield* circuitOf, "closed")
    }).pipe(Effect.provide(layer))
  })
})
