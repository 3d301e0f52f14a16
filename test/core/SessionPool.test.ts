/**
 * Pools of sessions: leases, limits, lifetimes and the isolation of owners.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigError, SessionError, type SessionPool } from "@mcp-sessions/core"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../fixtures/fibers.ts"
import { lease, poolOf } from "../fixtures/pool.ts"
import * as Scripted from "../fixtures/scripted.ts"

const lost = new SessionError.TransportClosed({ delivery: "Unknown" })

/** The number of the connection that received the latest request. */
const connectionOf = (script: Scripted.Script) => Number(script.requests.at(-1)?.split(":")[0])

const scripted = (
  behaviour: Parameters<typeof Scripted.make>[0] = {},
  options?: Parameters<typeof Scripted.sessions>[1]
) => {
  const script = Scripted.make(behaviour)
  return { script, layer: Scripted.sessions(script, options) }
}

describe("a pool", () => {
  it.effect("opens nothing before the first lease, leases each session to one caller, and leases returned sessions again", () => {
    const { layer, script } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 2 })
      assert.strictEqual(script.open, 0)
      const one = yield* lease(pool)
      const two = yield* lease(pool)
      yield* one.session.callTool("t")
      assert.strictEqual(connectionOf(script), 1)
      yield* two.session.callTool("t")
      assert.strictEqual(connectionOf(script), 2)
      assert.deepStrictEqual(yield* pool.stats, { total: 2, active: 2, idle: 0, waiting: 0, max: 2 })
      yield* one.release
      yield* pool.callTool("t")
      assert.strictEqual(connectionOf(script), 1)
      assert.strictEqual(script.connects.length, 2)
      assert.deepStrictEqual(yield* pool.stats, { total: 2, active: 1, idle: 1, waiting: 0, max: 2 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("serves waiters in the order of their arrival, and fails one that waits too long with its counts", () => {
    const { layer } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1, acquireTimeout: "3 seconds" })
      const first = yield* lease(pool)
      const got: Array<number> = []
      const wait = (n: number) =>
        start(
          Effect.result(pool.use(() => Effect.andThen(Effect.sync(() => got.push(n)), Effect.sleep("1500 millis"))))
        )
      const waiting = yield* Effect.forEach([1, 2, 3], wait)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* pool.stats, { total: 1, active: 1, idle: 0, waiting: 3, max: 1 })
      yield* first.release
      assert.deepStrictEqual(got, [1])
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(got, [1, 2])
      assert.isUndefined(waiting[2]?.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const result = yield* Fiber.join(waiting[2] ?? assert.fail())
      assert(result._tag === "Failure" && result.failure._tag === "AcquireTimeout")
      assert.deepInclude(result.failure, {
        server: "s",
        timeout: 3000,
        total: 1,
        active: 1,
        idle: 0
      })
      assert.include(
        result.failure.message,
        "no session became available within 3000 ms (total 1, active 1, idle 0, waiting 0)"
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("gives a waiter that timed out the latest failure of the server", () => {
    let isDown = false
    const { layer, script } = scripted({
      connect: () =>
        Effect.suspend(() => isDown ? Effect.andThen(Effect.sleep("1 second"), Scripted.refused) : Effect.void)
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      isDown = true
      const fiber = yield* start(Effect.flip(pool.callTool("t")))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(fiber)
      // Four attempts of a second each, a second apart: the third fails as the waiter times out.
      if (error._tag === "AcquireTimeout") assert.strictEqual(error.lastError?.reason._tag, "ConnectionRefused")
      else assert(error._tag === "SessionError" && error.reason._tag === "ConnectionRefused")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(script.open, 0)
      assert.deepInclude(yield* pool.stats, { total: 0, waiting: 0 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails a waiter with the error of its session, and opens another session for the next one", () => {
    let isDown = true
    const reason = new SessionError.SpawnFailed({ command: "s", code: "ENOENT" })
    const { layer } = scripted({ connect: () => Effect.suspend(() => isDown ? Effect.fail(reason) : Effect.void) })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const both = yield* Effect.forEach([1, 2], () => start(Effect.flip(pool.callTool("t"))))
      for (const fiber of both) {
        const error = yield* Fiber.join(fiber)
        assert(error._tag === "SessionError")
        assert.strictEqual(error.reason._tag, "SpawnFailed")
      }
      isDown = false
      yield* pool.callTool("t")
    }).pipe(Effect.provide(layer))
  })

  it.effect("finishes opening a session whose waiter has left, and leases it to the next waiter", () => {
    const { layer, script } = scripted({ connect: () => Effect.sleep("20 seconds") })
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      const impatient = yield* start(Effect.flip(pool.callTool("t")))
      const leaving = yield* start(pool.callTool("t"))
      yield* Fiber.interrupt(leaving)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(impatient))._tag, "AcquireTimeout")
      yield* TestClock.adjust("15 seconds")
      yield* pool.callTool("t")
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("cancels the calls of an interrupted caller and leases its session again", () => {
    let cancelled = 0
    const { layer, script } = scripted({
      answer: ({ params }) =>
        params?.name === "slow"
          ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => void cancelled++))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const slow = yield* start(pool.callTool("slow"))
      const waiting = yield* start(pool.callTool("waits"))
      const other = yield* start(pool.callTool("other"))
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(slow)
      yield* Fiber.join(other)
      assert.strictEqual(cancelled, 1)
      assert.deepStrictEqual(script.requests, ["1:tools/call:slow", "1:tools/call:other"])
      assert.deepStrictEqual(yield* pool.stats, { total: 1, active: 0, idle: 1, waiting: 0, max: 1 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("evicts a session that has lost its connection, during a lease or while idle", () => {
    const { layer, script } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const one = yield* lease(pool)
      yield* script.lose(lost)
      yield* one.session.callTool("t")
      assert.strictEqual(connectionOf(script), 2)
      // The session is on another connection now, and the state that the server kept for the first one is gone.
      yield* one.release
      assert.strictEqual(script.open, 0)
      yield* pool.callTool("t")
      assert.strictEqual(connectionOf(script), 3)
      yield* script.lose(lost)
      yield* pool.callTool("t")
      assert.strictEqual(connectionOf(script), 4)
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("pings a session that has been idle for `validateAfter`, and leases another one if it does not answer", () => {
    let isMute = false
    const { layer, script } = scripted({
      answer: ({ connection, method }) =>
        isMute && connection === 1 && method === "ping" ? Effect.never : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      const pings = () => script.requests.filter((request) => request.endsWith("ping")).length
      yield* pool.callTool("t")
      yield* TestClock.adjust("30 seconds")
      yield* pool.callTool("t")
      assert.strictEqual(pings(), 0)
      yield* TestClock.adjust("30001 millis")
      yield* pool.callTool("t")
      assert.strictEqual(pings(), 1)
      yield* TestClock.adjust("31 seconds")
      isMute = true
      const call = yield* start(pool.callTool("t"))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(call)
      assert.strictEqual(connectionOf(script), 2)
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("reports a lease that exceeds `leakAfter` once, with the span in which it was taken", () => {
    const { layer } = scripted()
    const reports: Array<SessionPool.LeakReport> = []
    return Effect.gen(function*() {
      const pool = yield* poolOf({ onLeak: (report) => Effect.sync(() => reports.push(report)) })
      const short = yield* lease(pool)
      yield* Effect.withSpan(lease(pool, "tenant"), "forgetful")
      yield* short.release
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(reports, [])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(
        reports.map(({ heldFor, owner, server, span }) => ({ heldFor, owner, server, span: span?.name })),
        [{ heldFor: 3_600_000, owner: "tenant", server: "s", span: "forgetful" }]
      )
    }).pipe(Effect.provide(layer))
  })

  for (const [what, onLeak] of [["fails with a defect", Effect.die("report")], ["never ends", Effect.never]] as const) {
    it.effect(`closes idle sessions even if onLeak ${what}`, () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const pool = yield* poolOf({ leakAfter: "1 minute", idleTimeToLive: "2 minutes", onLeak: () => onLeak })
        yield* lease(pool)
        yield* TestClock.adjust("1 minute")
        yield* Effect.andThen(lease(pool), ({ release }) => release)
        assert.strictEqual(script.open, 2)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(script.open, 1)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("invalidates session objects when their lease ends", () => {
    const { layer } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      const { release, session } = yield* lease(pool)
      yield* release
      const error = yield* Effect.flip(session.callTool("t"))
      assert.strictEqual(error.reason._tag, "SessionClosed")
      yield* pool.callTool("t")
    }).pipe(Effect.provide(layer))
  })

  it.effect("closes all sessions when its scope ends, and fails its waiters with SessionClosed", () => {
    const gate = Deferred.makeUnsafe<void>()
    const { layer, script } = scripted({ connect: (n) => n < 3 ? Effect.void : Deferred.await(gate) })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(poolOf({ max: 3 }), scope)
      const held = yield* lease(pool)
      yield* Effect.andThen(lease(pool), ({ release }) => release)
      yield* lease(pool)
      const waiting = yield* start(Effect.flip(pool.callTool("t")))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(script.open, 0)
      const error = yield* Fiber.join(waiting)
      assert(error._tag === "SessionError")
      assert.strictEqual(error.reason._tag, "SessionClosed")
      assert.strictEqual((yield* Effect.flip(pool.callTool("t")))._tag, "SessionError")
      assert.strictEqual((yield* Effect.flip(held.session.callTool("t"))).reason._tag, "SessionClosed")
      yield* held.release
    }).pipe(Effect.provide(layer))
  })

  it.effect("evicts on drain: idle sessions at once, leased ones when they are returned", () => {
    const { layer, script } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      const one = yield* lease(pool)
      yield* Effect.andThen(lease(pool), ({ release }) => release)
      assert.strictEqual(script.open, 2)
      yield* pool.drain
      assert.strictEqual(script.open, 1)
      yield* one.session.callTool("t")
      assert.strictEqual(connectionOf(script), 1)
      yield* pool.callTool("t")
      assert.strictEqual(connectionOf(script), 3)
      yield* one.release
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("reports all invalid options at once", () =>
    Effect.gen(function*() {
      const problems = (options: Partial<SessionPool.SessionPoolOptions>) =>
        Effect.map(Effect.flip(Effect.scoped(poolOf(options))), ({ problems }) =>
          problems.map(({ _tag, path }) => `${_tag} ${ConfigError.jsonPath(path)}`))
      assert.deepStrictEqual(
        yield* problems({
          server: "nobody",
          max: 0,
          min: -1,
          concurrency: 1.5,
          acquireTimeout: Number.NaN,
          idleTimeToLive: "1 year" as "1 day",
          maxLifetime: -1,
          validateAfter: Number.POSITIVE_INFINITY,
          leakAfter: "31 days"
        }),
        [
          "InvalidValue $.pool.max",
          "InvalidValue $.pool.min",
          "InvalidValue $.pool.concurrency",
          "InvalidDuration $.pool.acquireTimeout",
          "InvalidDuration $.pool.idleTimeToLive",
          "InvalidDuration $.pool.maxLifetime",
          "InvalidDuration $.pool.validateAfter",
          "InvalidDuration $.pool.leakAfter",
          "UnknownServer $"
        ]
      )
      assert.deepStrictEqual(yield* problems({ min: 5, max: 4 }), ["InvalidValue $.pool.min"])
      assert.deepStrictEqual(yield* problems({ idleTimeToLive: "1 hour", maxLifetime: "10 minutes" }), [
        "InvalidDuration $.pool.idleTimeToLive"
      ])
    }).pipe(Effect.provide(scripted().layer)))
})

describe("a pool of many owners", () => {
  it.effect("leases a session only to its owner, and evicts the longest idle one for another owner", () => {
    const { layer, script } = scripted()
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 2 })
      yield* pool.callTool("t", {}, { owner: "a" })
      yield* TestClock.adjust("1 second")
      yield* pool.callTool("t", {}, { owner: "b" })
      yield* pool.callTool("t", {}, { owner: "a" })
      assert.strictEqual(script.connects.length, 2)
      yield* TestClock.adjust("1 second")
      yield* pool.callTool("t", {}, { owner: "b" })
      yield* pool.callTool("t", {}, { owner: "c" })
      // The session that had been idle longest was evicted.
      assert.strictEqual(script.open, 2)
      yield* pool.callTool("t", {}, { owner: "b" })
      assert.strictEqual(connectionOf(script), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("evicts the sessions of an owner whose credentials have changed", () => {
    let token = "old"
    const { layer, script } = scripted({}, {
      credentials: ({ owner }) =>
        Effect.sync(() => ({ env: { TOKEN: Redacted.make(owner === "a" ? token : "other") } }))
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      const held = yield* lease(pool, "a")
      yield* Effect.andThen(lease(pool, "a"), ({ release }) => release)
      yield* pool.callTool("t", {}, { owner: "b" })
      assert.strictEqual(script.open, 3)
      token = "new"
      yield* pool.callTool("t", {}, { owner: "a" })
      assert.strictEqual(connectionOf(script), 4)
      assert.strictEqual(script.open, 3)
      yield* held.session.callTool("t")
      yield* held.release
      assert.strictEqual(script.open, 2)
      assert.strictEqual(script.connects.length, 4)
    }).pipe(Effect.provide(layer))
  })

  it.effect("serves other owners when the credentials of one fail", () => {
    const { layer } = scripted({}, {
      credentials: ({ owner }) =>
        owner === "locked out" ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({})
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const exit = yield* Effect.exit(pool.callTool("t", {}, { owner: "locked out" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      yield* pool.callTool("t", {}, { owner: "a" })
    }).pipe(Effect.provide(layer))
  })
})

describe("a pool under random use", () => {
  it.effect("stays within its limits, serves every waiter, and leaves nothing open", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 60; seed++) {
        let state = seed
        const random = (below: number) => {
          state = (state * 1103515245 + 12345) % 2 ** 31
          return Math.floor(state / 2 ** 31 * below)
        }
        const script = Scripted.make({
          connect: () => {
            const kind = random(6)
            return kind === 0 ? Effect.fail(Scripted.refused) : kind === 1 ? Effect.sleep(random(3000)) : Effect.void
          },
          answer: () => {
            const kind = random(8)
            return kind === 0 ? Effect.fail(lost) : Effect.delay(Effect.succeed({ content: [] }), random(500))
          }
        })
        const max = 1 + random(4)
        yield* Effect.gen(function*() {
          const pool = yield* poolOf({
            max,
            min: random(2),
            concurrency: 1 + random(3),
            idleTimeToLive: 1000,
            maxLifetime: 5000,
            validateAfter: random(2000),
            onLeak: () => Effect.void
          })
          const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
          for (let step = 0; step < 80; step++) {
            const kind = random(10)
            if (kind < 6) {
              const owner = ["default", "a", "b"][random(3)]
              fibers.push(yield* start(Effect.exit(pool.callTool("t", {}, { owner, idempotent: true }))))
            } else if (kind === 6) yield* Effect.forEach(fibers.splice(random(fibers.length + 1), 1), Fiber.interrupt)
            else if (kind === 7) yield* script.lose(lost)
            else yield* TestClock.adjust(random(700))
            const { active, idle, total } = yield* pool.stats
            assert.isAtMost(total, max, `seed ${seed}`)
            assert.isAtMost(active + idle, total)
            assert.isAtMost(script.open, max)
          }
          for (let n = 0; n < 400 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); n++) {
            yield* TestClock.adjust("1 second")
          }
          assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() !== undefined), `seed ${seed}`)
          assert.deepInclude(yield* pool.stats, { active: 0, waiting: 0 })
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Scripted.sessions(script))))
        assert.strictEqual(script.open, 0, `seed ${seed}`)
      }
    }))
})
