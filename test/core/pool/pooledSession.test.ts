/**
 * Sessions of a pool: the conditions for leasing a session again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { stdio, tokenOf } from "../../fixtures/fleet.ts"
import { poolOf } from "../../fixtures/pool.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("a pooled session", () => {
  for (const [times, when] of [[1, "while it is opened"], [2, "just before it connects"]] as const) {
    it.effect(`is leased only to the identity that it is connected as, when credentials change ${when}`, () => {
      const scripts = { one: Scripted.make({}), two: Scripted.make({}) }
      let asked = 0
      let token: keyof typeof scripts = "one"
      const layer = Sessions.layer({
        servers: { s: stdio },
        circuit: Circuit.never,
        credentials: () =>
          Effect.sync(() => {
            const env = { TOKEN: Redacted.make(token as string) }
            // The pool, the session and then the connection request the credentials.
            if (++asked === times) token = "two"
            return { env }
          })
      }).pipe(Layer.provide(Layer.succeed(Transport.Transports, {
        transport: (definition) => scripts[tokenOf(definition) as keyof typeof scripts].transport
      })))
      return Effect.gen(function*() {
        const pool = yield* poolOf()
        yield* pool.callTool("t")
        const before = scripts.two.requests.length
        // The credentials change back: a connection with the second token must not serve the first.
        token = "one"
        yield* pool.callTool("t")
        assert.strictEqual(scripts.two.requests.length, before)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("is not leased again while a request of an ended lease is in flight", () => {
    let under = 0
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "slow"
          ? Effect.acquireUseRelease(Effect.sync(() => under++), () => Effect.never, () => Effect.sync(() => under--))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.use((session) =>
        Effect.tap(start(session.callTool("slow")), () => Effect.sync(() => assert.strictEqual(under, 1)))
      )
      yield* pool.callTool("t")
      // The session with the request in flight was evicted, which ended the request.
      assert.strictEqual(under, 0)
      assert.deepStrictEqual(script.requests, ["1:tools/call:slow", "2:tools/call:t"])
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("sends no retry of a call whose lease has ended", () => {
    let refusals = 0
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "slow" && refusals++ === 0
          ? Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "5", delivery: "Rejected" }))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.use((session) => Effect.forkDetach(session.callTool("slow"), { startImmediately: true }))
      const next = yield* start(pool.use((session) => Effect.andThen(session.ping, Effect.sleep("30 seconds"))))
      yield* TestClock.adjust("20 seconds")
      yield* settled(next)
      assert.deepStrictEqual(
        script.requests.filter((request) => request.endsWith(":slow")).length,
        1,
        script.requests.join()
      )
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is evicted when its connection was replaced while it was validated", () => {
    const script = Scripted.make({
      answer: ({ connection, method }) =>
        connection === 1 && method === "ping"
          ? Effect.fail(new SessionError.SessionExpired({ status: 404, delivery: "Rejected" }))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.callTool("t")
      yield* TestClock.adjust("1 minute")
      yield* pool.use((session) => Effect.map(session.generation, (generation) => assert.strictEqual(generation, 1)))
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is validated before the next lease after a request got no response in time", () => {
    const script = Scripted.make({
      answer: ({ connection }) => connection === 1 ? Effect.never : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 2 })
      const first = yield* start(Effect.exit(pool.callTool("t", {}, { timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      const second = yield* start(pool.callTool("t"))
      yield* TestClock.adjust("4 seconds")
      assert.isDefined(second.pollUnsafe())
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
