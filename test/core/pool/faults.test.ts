/**
 * What a pool does where things go wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, type Credentials, SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { lost, stdio, tokenOf } from "../../fixtures/fleet.ts"
import { borrow, poolOf } from "../../fixtures/pool.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("a pool", () => {
  it.effect("loses no place to a session whose opening met a defect", () => {
    const script = Scripted.make({ connect: (n) => n === 1 ? Effect.die("once") : Effect.void })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const first = yield* start(Effect.exit(pool.callTool("t")))
      yield* settled(first)
      const second = yield* start(Effect.exit(pool.callTool("t")))
      assert.strictEqual((yield* settled(second))?._tag, "Success")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)), JSON.stringify(yield* pool.stats))
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (const [what, onLeak] of [["fails with a defect", Effect.die("report")], ["never ends", Effect.never]] as const) {
    it.effect(`goes on closing what is idle though the report of a leak ${what}`, () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const pool = yield* poolOf({ leakAfter: "1 minute", idleTimeToLive: "2 minutes", onLeak: () => onLeak })
        yield* borrow(pool)
        yield* TestClock.adjust("1 minute")
        yield* Effect.andThen(borrow(pool), ({ giveBack }) => giveBack)
        assert.strictEqual(script.open, 2)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(script.open, 1)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  for (const [times, when] of [[1, "while it is opened"], [2, "right before it connects"]] as const) {
    it.effect(`lends a session only as whom it is connected, though credentials change ${when}`, () => {
      const scripts = { one: Scripted.make({}), two: Scripted.make({}) }
      let asked = 0
      let token: keyof typeof scripts = "one"
      const layer = Sessions.layer({
        servers: { s: stdio },
        circuit: Circuit.never,
        credentials: () =>
          Effect.sync(() => {
            const env = { TOKEN: Redacted.make(token as string) }
            // Asked for by the pool, by the session, then by the connection.
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
        // Back to the first: what was opened with the second must not serve it.
        token = "one"
        yield* pool.callTool("t")
        assert.strictEqual(scripts.two.requests.length, before)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("lends a session to one borrower at a time, also when the call of another goes on after its loan", () => {
    let under = 0
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "slow"
          ? Effect.acquireUseRelease(Effect.sync(() => under++), () => Effect.never, () => Effect.sync(() => under--))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.use((session) => start(session.callTool("slow")))
      assert.strictEqual(under, 1)
      yield* pool.callTool("t")
      // The session on which that goes on was closed, as all are with which something is not right.
      assert.deepStrictEqual(script.requests, ["1:tools/call:slow", "2:tools/call:t"])
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keeps open what it is to keep, also when the connection is lost while nobody has it", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* poolOf({ min: 1 })
      assert.strictEqual(script.open, 1)
      yield* script.lose(lost)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("does not lend again a session whose connection was replaced while it was asked for a sign of life", () => {
    const script = Scripted.make({
      answer: ({ connection, method }) =>
        connection === 1 && method === "ping"
          ? Effect.fail(new SessionError.SessionExpired({ status: 404 }))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.callTool("t")
      yield* TestClock.adjust("1 minute")
      yield* pool.use((session) => Effect.map(session.generation, (generation) => assert.strictEqual(generation, 1)))
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("asks a session for a sign of life that gave no answer in time before it lends it again", () => {
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

  it.effect("of shared sessions serves first who came first", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1, concurrency: 2, acquireTimeout: "1 minute" })
      let held = yield* borrow(pool, "a")
      const waiting = yield* start(Effect.result(pool.callTool("t", {}, { owner: "b" })))
      for (let second = 0; second < 70; second++) {
        const next = yield* start(borrow(pool, "a"))
        yield* held.giveBack
        yield* TestClock.adjust("1 second")
        const got = next.pollUnsafe()
        if (got?._tag === "Success") held = got.value
        else break
      }
      yield* held.giveBack
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Success")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("lets nobody wait longer than acquireTimeout, whatever for", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ acquireTimeout: "5 seconds" })
      const waiting = yield* start(Effect.exit(pool.callTool("t")))
      yield* TestClock.adjust("1 minute")
      assert.isDefined(waiting.pollUnsafe())
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: () => Effect.as(Effect.sleep("1 hour"), {})
    })))
  })

  for (
    const what of ["credentials that were not in order", "a defect"] as const
  ) {
    it.effect(`keeps as many as it is to keep after ${what}, once`, () => {
      let given: Credentials.Credentials = {}
      let died = what === "credentials that were not in order"
      const script = Scripted.make({
        connect: () => {
          if (died) return Effect.void
          died = true
          return Effect.die("once")
        }
      })
      return Effect.gen(function*() {
        if (what === "credentials that were not in order") given = { env: { NODE_OPTIONS: Redacted.make("x") } }
        const pool = yield* poolOf({ min: 1 })
        yield* TestClock.adjust("1 second")
        given = {}
        yield* TestClock.adjust("1 hour")
        // Somebody comes and goes, which sets it going.
        yield* pool.callTool("t", {}, { owner: "other" })
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* pool.stats, { total: 1, idle: 1 })
      }).pipe(Effect.provide(Scripted.sessions(script, { credentials: () => Effect.sync(() => given) })))
    })
  }
})
