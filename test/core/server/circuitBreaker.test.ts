/**
 * Circuit breaker: opens after consecutive failures, rejects calls while open, and closes after a successful probe.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

const down = new SessionError.HttpFailed({ status: 500, delivery: "Unknown" })

/** A policy without jitter. */
const circuit: Circuit.CircuitPolicy = {
  failures: 4,
  openFor: Schedule.min([Schedule.exponential("5 seconds"), Schedule.spaced("60 seconds")])
}

const setting = (answer: (number: number) => Effect.Effect<unknown, SessionError.Reason>) => {
  const script = Scripted.make({ answer: ({ number }) => answer(number) })
  const layer = Scripted.sessions(script, { circuit, retry: RetryPolicy.never })
  return { script, layer }
}

/** A server that answers pings, but no calls. */
const hanging = () => {
  const script = Scripted.make({
    answer: ({ method }) => method === "ping" ? Effect.succeed({}) : Effect.never
  })
  return { script, layer: Scripted.sessions(script, { circuit, retry: RetryPolicy.never }) }
}

const call = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t"))

const outcome = Effect.map(Effect.result(call), (result) => {
  if (result._tag === "Success") return "ok"
  const error = result.failure
  return error._tag === "SessionError" ? error.reason._tag : error._tag
})

describe("the circuit breaker", () => {
  it.effect("opens at the fourth consecutive failure, sends no call while it is open, and sends one ping per period", () => {
    const { layer, script } = setting(() => Effect.fail(down))
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* outcome, "OutcomeUnknown")
      for (let n = 0; n < 50; n++) assert.strictEqual(yield* outcome, "ServerDown")
      assert.strictEqual(script.requests.length, 4)
      let pings = 0
      for (
        const pause of ["5 seconds", "10 seconds", "20 seconds", "40 seconds", "60 seconds", "60 seconds"] as const
      ) {
        yield* TestClock.adjust(pause)
        const all = yield* Effect.all(Array.from({ length: 10 }, () => outcome), { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(all), new Set(["ServerDown"]))
        assert.deepStrictEqual(script.requests.slice(4), Array.from({ length: ++pings }, () => "1:ping"))
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("shows its state in the status of the server", () => {
    const { layer } = setting((number) => number <= 4 ? Effect.fail(down) : Effect.succeed({ content: [] }))
    return Effect.gen(function*() {
      const { status } = yield* Sessions.Sessions
      assert.deepStrictEqual((yield* status("s")).circuit, { state: "closed" })
      for (let n = 0; n < 4; n++) yield* outcome
      assert.deepStrictEqual((yield* status("s")).circuit, { state: "open", retryAt: 5000 })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* outcome, "ok")
      assert.deepStrictEqual((yield* status("s")).circuit, { state: "closed" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("closes when its probe succeeds", () => {
    const { layer } = setting((number) => number <= 4 ? Effect.fail(down) : Effect.succeed({ content: [] }))
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* outcome
      assert.strictEqual(yield* outcome, "ServerDown")
      yield* TestClock.adjust("5 seconds")
      for (let n = 0; n < 5; n++) assert.strictEqual(yield* outcome, "ok")
    }).pipe(Effect.provide(layer))
  })

  it.effect("stays closed when the server responds with errors", () => {
    const refusal = new SessionError.ProtocolFailed({ method: "t", code: -1, description: "no", data: undefined })
    const { layer, script } = setting(() => Effect.fail(refusal))
    return Effect.gen(function*() {
      for (let n = 0; n < 20; n++) assert.strictEqual(yield* outcome, "ProtocolFailed")
      assert.strictEqual(script.requests.length, 20)
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts the failures of concurrent calls as one", () => {
    const { layer } = setting((number) =>
      number <= 20 ? Effect.delay(Effect.fail(down), "1 second") : Effect.succeed({ content: [] })
    )
    return Effect.gen(function*() {
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 20 }, () => outcome), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(all)
      assert.strictEqual(yield* outcome, "ok")
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts timeouts as one failure for all calls that were in flight when the first of them timed out", () => {
    const { layer, script } = hanging()
    return Effect.gen(function*() {
      const { status } = yield* Sessions.Sessions
      const stateOf = Effect.map(status("s"), ({ circuit }) => circuit.state)
      // Each round sends one call a second, until the first of them times out.
      for (const state of ["closed", "closed", "closed", "open"]) {
        const sent = script.requests.length
        for (let second = 0; second < 60; second++) {
          yield* Effect.forkChild(outcome, { startImmediately: true })
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual(
          script.requests.slice(sent).filter((request) => request.endsWith(":tools/call:t")).length,
          60
        )
        assert.strictEqual(yield* stateOf, state)
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts a timeout of a call that was sent after the one before it had timed out", () => {
    const { layer, script } = hanging()
    return Effect.gen(function*() {
      const { status } = yield* Sessions.Sessions
      for (const state of ["closed", "closed", "closed", "open"]) {
        yield* Effect.forkChild(outcome, { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* status("s")).circuit.state, state)
      }
      assert.strictEqual(script.requests.filter((request) => request.endsWith(":tools/call:t")).length, 4)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is separate for each server", () => {
    const script = Scripted.make({
      answer: ({ params }) => params?.name === "bad" ? Effect.fail(down) : Effect.succeed({ content: [] })
    })
    const stdio = { transport: "stdio" as const, command: "s", args: [] }
    const layer = Scripted.sessions(script, {
      servers: { a: stdio, b: stdio },
      circuit: Circuit.circuitDefault,
      retry: RetryPolicy.never
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("a", "bad"))
      assert.strictEqual((yield* Effect.flip(callTool("a", "good"))).message.includes("down"), true)
      yield* callTool("b", "good")
    }).pipe(Effect.provide(layer))
  })

  it.effect("opens after failed connects, within two calls under the default policy", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    const layer = Scripted.sessions(script, { circuit: Circuit.circuitDefault })
    return Effect.gen(function*() {
      for (const [tag, tries] of [["ConnectionRefused", 3], ["ConnectionRefused", 4], ["ServerDown", 4]] as const) {
        const fiber = yield* Effect.forkChild(outcome, { startImmediately: true })
        yield* Effect.raceFirst(Fiber.await(fiber), Effect.forever(TestClock.adjust("1 second")))
        const seen = yield* Fiber.join(fiber)
        if (tries === 3) assert.strictEqual(seen, tag)
        assert.isAtMost(script.connects.length, 5)
      }
      assert.strictEqual(yield* outcome, "ServerDown")
    }).pipe(Effect.provide(layer))
  })

  it.effect("opens once per outage of a flapping server, and probes it with one call at a time", () => {
    let calls = 0
    let probes = 0
    let isDown = false
    const { layer, script } = setting(() =>
      Effect.suspend(() => isDown ? Effect.fail(down) : Effect.succeed({ content: [] }))
    )
    return Effect.gen(function*() {
      for (let spell = 0; spell < 20; spell++) {
        isDown = spell % 2 === 1
        const before = script.requests.length
        for (let second = 0; second < 30; second++) {
          yield* TestClock.adjust("1 second")
          const sent = script.requests.length
          const all = yield* Effect.all([outcome, outcome, outcome], { concurrency: "unbounded" })
          calls += all.length
          // A closed circuit admits all three calls, an open circuit admits at most one after a ping.
          if (all.includes("ServerDown") && script.requests.length > sent) {
            probes++
            assert.strictEqual(script.requests.length, sent + 1)
          }
        }
        // Four failures open it, with three calls at a time; pings follow after 5, 10 and 20 seconds or later.
        if (isDown) assert.isAtMost(script.requests.length - before, 6 + 4)
      }
      assert.isAtLeast(probes, 10)
      assert.isBelow(script.requests.length, calls * 0.6)
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses the calls that wait for permits when it opens, and sends none of them", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    const server = { transport: "stdio", command: "s", args: [], healthInterval: 0 } as const
    const layer = Scripted.sessions(script, {
      servers: { s: { ...server, maxInFlight: 5, requestTimeout: "1 second" } },
      circuit,
      retry: RetryPolicy.never
    })
    return Effect.gen(function*() {
      const calls = yield* Effect.forEach(
        Array.from({ length: 100 }, () => outcome),
        (call) => Effect.forkChild(call, { startImmediately: true })
      )
      for (let second = 0; second < 4; second++) yield* TestClock.adjust("1 second")
      const tags = yield* Effect.forEach(calls, Fiber.join)
      assert.strictEqual(tags.filter((tag) => tag === "OutcomeUnknown").length, 20)
      assert.strictEqual(tags.filter((tag) => tag === "ServerDown").length, 80)
      assert.strictEqual(script.requests.filter((request) => request.includes("tools/call")).length, 20)
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses the calls that wait for a connection when it opens, of all owners", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    const layer = Scripted.sessions(script, { circuit, retry: RetryPolicy.spaced({ retries: 50, delay: "2 seconds" }) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = yield* Effect.forEach(
        ["a", "b"],
        (owner) => Effect.forkChild(Effect.flip(callTool("s", "t", {}, { owner })), { startImmediately: true })
      )
      // The fourth attempt of both together opens it.
      yield* TestClock.adjust("2 seconds")
      for (const call of calls) {
        const error = yield* Fiber.join(call)
        assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "ServerDown")
      }
      assert.strictEqual(script.connects.length, 4)
    }).pipe(Effect.provide(layer))
  })
})
