/**
 * Limits of a server: requests in flight, the order of queued requests, and the rate.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Clock, Deferred, Effect, Fiber, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const ok = { content: [] }

const times = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

/** A server `s` that responds when the test calls `answer`. Its requests are in `script.requests`. */
const held = (config: object, options: Partial<Parameters<typeof Scripted.sessions>[1]> = {}) => {
  const answers: Array<Deferred.Deferred<unknown, SessionError.Reason>> = []
  const script = Scripted.make({
    answer: ({ method }) => {
      if (method !== "tools/call") return Effect.succeed({ tools: [] })
      const answer = Deferred.makeUnsafe<unknown, SessionError.Reason>()
      answers.push(answer)
      return Deferred.await(answer)
    }
  })
  const layer = Scripted.sessions(script, {
    servers: { s: { transport: "stdio", command: "s", args: [], healthInterval: 0, ...config } },
    ...options
  })
  const called = () => script.requests.flatMap((request) => request.split(":")[2] ?? [])
  return { script, layer, called, answer: (index: number) => Deferred.succeed(answers[index] ?? assert.fail(), ok) }
}

const reasonOf = (error: unknown) => (error as SessionError.SessionError).reason

describe("the bulkhead", () => {
  it.effect("admits `maxInFlight` requests and queues the others in order of arrival", () => {
    const { answer, called, layer } = held({ maxInFlight: 2 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = yield* Effect.forEach(["a", "b", "c", "d"], (tool) => start(callTool("s", tool)))
      assert.deepStrictEqual(called(), ["a", "b"])
      yield* answer(1)
      assert.deepStrictEqual(called(), ["a", "b", "c"])
      yield* answer(0)
      yield* answer(2)
      yield* answer(3)
      assert.deepStrictEqual(called(), ["a", "b", "c", "d"])
      yield* Fiber.joinAll(calls)
    }).pipe(Effect.provide(layer))
  })

  it.effect("starts the timeout of a request when it is sent, and limits its wait by `totalTimeout`", () => {
    const { answer, called, layer } = held({
      maxInFlight: 1,
      requestTimeout: "10 seconds",
      totalTimeout: "25 seconds"
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const first = yield* start(Effect.flip(callTool("s", "a")))
      const second = yield* start(callTool("s", "b"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(reasonOf(yield* Fiber.join(first))._tag, "OutcomeUnknown")
      assert.deepStrictEqual(called(), ["a", "b"])
      yield* TestClock.adjust("9 seconds")
      yield* answer(1)
      yield* Fiber.join(second)
      yield* start(callTool("s", "c", {}, { timeout: "1 hour" }))
      const waiting = yield* start(Effect.flip(callTool("s", "d", {}, { retry: RetryPolicy.never })))
      yield* TestClock.adjust("24999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(reasonOf(yield* Fiber.join(waiting)), {
        _tag: "RequestTimeout",
        timeout: 25_000,
        delivery: "NotSent"
      })
      assert.notInclude(called(), "d")
    }).pipe(Effect.provide(layer))
  })

  it.effect("rejects a request beyond `maxQueued` before it is sent", () => {
    const { answer, called, layer } = held({ maxInFlight: 1, maxQueued: 2 })
    return Effect.gen(function*() {
      const { callTool, status } = yield* Sessions.Sessions
      yield* Effect.forEach(["a", "b", "c"], (tool) => start(callTool("s", tool)))
      const refused = yield* Effect.flip(callTool("s", "d"))
      assert.deepInclude(reasonOf(refused), { _tag: "QueueFull", limit: 2, inFlight: 1, delivery: "NotSent" })
      assert.strictEqual((yield* status("s")).health.errorCount, 0)
      yield* answer(0)
      const next = yield* start(callTool("s", "e"))
      yield* answer(1)
      yield* answer(2)
      yield* answer(3)
      yield* Fiber.join(next)
      assert.deepStrictEqual(called(), ["a", "b", "c", "e"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("releases the permit of an interrupted request, before and after it is sent", () => {
    const { answer, called, layer } = held({ maxInFlight: 1, maxInFlightTotal: 1 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const sent = yield* start(callTool("s", "a"))
      const waiting = yield* start(callTool("s", "b"))
      const other = yield* start(callTool("s", "c", {}, { owner: "other" }))
      const last = yield* start(callTool("s", "d"))
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(other)
      yield* Fiber.interrupt(sent)
      assert.deepStrictEqual(called(), ["a", "d"])
      yield* answer(1)
      yield* Fiber.join(last)
      const after = yield* start(callTool("s", "e"))
      yield* answer(2)
      yield* Fiber.join(after)
    }).pipe(Effect.provide(layer))
  })

  it.effect("serves waiting owners in turn, however many requests one of them queues", () => {
    const { answer, called, layer } = held({ maxInFlight: 64, maxInFlightTotal: 1 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach(times(10, (n) => n), (n) => start(callTool("s", `loud ${n}`, {}, { owner: "loud" })))
      yield* Effect.forEach(["one", "two"], (owner) => start(callTool("s", owner, {}, { owner })))
      for (let n = 0; n < 5; n++) yield* answer(n)
      assert.deepStrictEqual(called(), ["loud 0", "loud 1", "one", "two", "loud 2", "loud 3"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("limits each server separately", () => {
    const script = Scripted.make({
      answer: ({ params }) => params?.name === "hang" ? Effect.never : Effect.succeed(ok)
    })
    const layer = Scripted.sessions(script, { servers: { hung: stdio, good: stdio } })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach(
        times(1000, (n) => `owner ${n % 10}`),
        (owner) => start(callTool("hung", "hang", {}, { owner }))
      )
      yield* Effect.forEach(times(1000, (n) => n), () => callTool("good", "echo"))
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps a queued request when the connection is lost, and sends it on the next one", () => {
    const { answer, called, layer, script } = held({ maxInFlight: 1 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const first = yield* start(Effect.flip(callTool("s", "a")))
      const second = yield* start(callTool("s", "b"))
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      assert.deepStrictEqual(called(), ["a"])
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(script.requests, ["1:tools/call:a", "2:tools/call:b"])
      yield* answer(1)
      yield* Fiber.join(second)
    }).pipe(Effect.provide(layer))
  })
})

describe("the rate limit of a server", () => {
  it.effect("admits requests at its rate, and waiting owners in turn", () => {
    const script = Scripted.make({})
    const layer = Scripted.sessions(script, {
      servers: {
        s: {
          transport: "stdio",
          command: "s",
          args: [],
          healthInterval: 0,
          rateLimit: { limit: 2, window: "2 seconds" }
        }
      }
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const loud = times(6, (n) => callTool("s", `loud ${n}`, {}, { owner: "loud" }))
      const calls = yield* Effect.forEach([...loud, callTool("s", "quiet", {}, { owner: "quiet" })], start)
      const called = () => script.requests.map((request) => request.split(":")[2])
      assert.deepStrictEqual(called(), ["loud 0", "loud 1"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(called(), ["loud 0", "loud 1", "loud 2"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(called().slice(3).toSorted(), ["loud 3", "quiet"])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.joinAll(calls)
      assert.strictEqual(yield* Clock.currentTimeMillis, 5000)
    }).pipe(Effect.provide(layer))
  })

  it.effect("rejects at once a request that would wait beyond `totalTimeout`, without using capacity", () => {
    const script = Scripted.make({})
    const layer = Scripted.sessions(script, {
      servers: {
        s: {
          transport: "stdio",
          command: "s",
          args: [],
          healthInterval: 0,
          totalTimeout: "10 seconds",
          rateLimit: { limit: 1, window: "1 minute" }
        }
      }
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "a")
      const refused = yield* Effect.flip(callTool("s", "b"))
      assert.deepInclude(reasonOf(refused), { _tag: "RateLimited", retryAt: 60_000, delivery: "NotSent" })
      yield* TestClock.adjust("1 minute")
      yield* callTool("s", "c")
      assert.deepStrictEqual(script.requests, ["1:tools/call:a", "1:tools/call:c"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("admits requests within the limit, even if the queue is disabled", () => {
    const script = Scripted.make({})
    const rateLimit = { limit: 2, window: "2 seconds" as const }
    const layer = Scripted.sessions(script, { servers: { s: { ...stdio, maxQueued: 0, rateLimit } } })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "a")
      yield* callTool("s", "b")
      const next = yield* start(callTool("s", "c"))
      assert.strictEqual(reasonOf(yield* Effect.flip(callTool("s", "d")))._tag, "QueueFull")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(next)
      assert.strictEqual(script.requests.length, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("applies to all processes that share a store", () => {
    const config = { transport: "stdio" as const, command: "s", args: [], rateLimit: { limit: 1, window: "1 second" } }
    const store = RateLimiter.layerStoreMemory
    const scripts = [Scripted.make({}), Scripted.make({})]
    return Effect.gen(function*() {
      const services = yield* Layer.build(store)
      const calls = scripts.map((script) =>
        Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t")).pipe(
          Effect.provide(Scripted.sessions(script, { servers: { s: config } })),
          Effect.provideContext(services)
        )
      )
      const all = yield* Effect.forEach(calls, start)
      assert.strictEqual(scripts.flatMap(({ requests }) => requests).length, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(scripts.flatMap(({ requests }) => requests).length, 2)
      yield* Fiber.joinAll(all)
    })
  })

  it.effect("blocks all callers after a 429 response for the delay that it requires", () => {
    let limited = true
    const script = Scripted.make({
      answer: () =>
        Effect.suspend((): Effect.Effect<unknown, SessionError.Reason> =>
          limited
            ? Effect.fail(new SessionError.HttpFailed({ status: 429, retryAfter: "30", delivery: "Rejected" }))
            : Effect.succeed(ok)
        )
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const first = yield* start(callTool("s", "first"))
      assert.strictEqual(script.requests.length, 1)
      limited = false
      const others = yield* Effect.forEach(times(20, (n) => n), (n) => start(callTool("s", `other ${n}`)))
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(script.requests.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.joinAll([first, ...others])
      assert.strictEqual(script.requests.length, 22)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is learned from accepted requests, and not from a burst that the server rejected as a whole", () => {
    let limited = true
    const script = Scripted.make({
      answer: () =>
        Effect.suspend((): Effect.Effect<unknown, SessionError.Reason> =>
          limited
            ? Effect.fail(new SessionError.HttpFailed({ status: 429, retryAfter: "1", delivery: "Rejected" }))
            : Effect.succeed(ok)
        )
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = (count: number) => Effect.forEach(times(count, (n) => n), (n) => start(callTool("s", `${n}`)))
      // The server rejects all three, and rejects them again a second later. Then it recovers.
      const refused = yield* calls(3)
      yield* TestClock.adjust("1500 millis")
      limited = false
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.joinAll(refused)
      const others = yield* calls(20)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.joinAll(others)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is learned from repeated 429 responses, and then prevents most of them", () => {
    // The server accepts five requests in ten seconds.
    let taken: Array<number> = []
    let refusals = 0
    const script = Scripted.make({
      answer: () =>
        Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<unknown, SessionError.Reason> => {
          taken = taken.filter((at) => now - at < 10_000)
          if (taken.length < 5) {
            taken.push(now)
            return Effect.succeed(ok)
          }
          refusals++
          const wait = Math.ceil(((taken[0] ?? now) + 10_000 - now) / 1000)
          return Effect.fail(new SessionError.HttpFailed({ status: 429, retryAfter: `${wait}`, delivery: "Rejected" }))
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const calls = yield* start(
        Effect.forEach(times(40, (n) => n), (n) => callTool("s", `${n}`), { concurrency: 10, discard: true })
      )
      for (let second = 0; calls.pollUnsafe() === undefined && second < 300; second++) {
        yield* TestClock.adjust("1 second")
      }
      yield* Fiber.join(calls)
      assert.isAtMost(refusals, 10)
      assert.strictEqual(script.requests.length, 40 + refusals)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
