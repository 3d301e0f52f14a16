/**
 * Refill of a pool: keeping `min` sessions open.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Credentials } from "@mcp-sessions/core"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { refillDelay } from "../../../packages/core/src/internal/pool/refill.ts"
import { start } from "../../fixtures/fibers.ts"
import { lost } from "../../fixtures/fleet.ts"
import { lease, poolOf } from "../../fixtures/pool.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("the refill of a pool", () => {
  it("waits longer with each session in a row that was lost early, up to two minutes", () => {
    const delays = [0, 1, 2, 3, 100].map((lost) => Math.round(refillDelay(lost)))
    assert.deepStrictEqual(delays, [0, 1000, 1600, 2560, 120_000])
  })

  it.effect("replaces an idle session that has lost its connection", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* poolOf({ min: 1 })
      assert.strictEqual(script.open, 1)
      yield* script.lose(lost)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("reaches `min` sessions again after losses, at the pace of reconnects", () => {
    let isDown = false
    const script = Scripted.make({
      connect: () => Effect.suspend(() => isDown ? Effect.fail(Scripted.refused) : Effect.void)
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ min: 2 })
      assert.strictEqual(script.open, 2)
      const one = yield* lease(pool)
      yield* script.lose(lost)
      isDown = true
      yield* Effect.ignore(one.session.callTool("t", {}, { idempotent: true })).pipe(
        Effect.timeoutOption("1 second"),
        start,
        Effect.tap(() => TestClock.adjust("1 second"))
      )
      const before = script.connects.length
      yield* one.release
      yield* TestClock.adjust("10 minutes")
      // About twenty rounds of attempts, depending on jitter. Without delays there would be thousands.
      assert.isAtMost(script.connects.length - before, 150)
      isDown = false
      yield* TestClock.adjust("3 minutes")
      assert.deepInclude(yield* pool.stats, { total: 2, idle: 2 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (
    const what of ["invalid credentials", "a defect"] as const
  ) {
    it.effect(`keeps the configured minimum of sessions open after ${what}`, () => {
      let given: Credentials.Credentials = {}
      let died = what === "invalid credentials"
      const script = Scripted.make({
        connect: () => {
          if (died) return Effect.void
          died = true
          return Effect.die("once")
        }
      })
      return Effect.gen(function*() {
        if (what === "invalid credentials") given = { env: { NODE_OPTIONS: Redacted.make("x") } }
        const pool = yield* poolOf({ min: 1 })
        yield* TestClock.adjust("1 second")
        given = {}
        yield* TestClock.adjust("1 hour")
        // A lease of another owner makes the pool look again.
        yield* pool.callTool("t", {}, { owner: "other" })
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* pool.stats, { total: 1, idle: 1 })
      }).pipe(Effect.provide(Scripted.sessions(script, { credentials: () => Effect.sync(() => given) })))
    })
  }

  it.effect("is paced when the server closes each connection it has accepted", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* start(Effect.forever(Effect.delay(Effect.suspend(() => script.lose(lost)), "10 millis")))
      yield* poolOf({ min: 1 })
      yield* TestClock.adjust("1 minute")
      assert.isBelow(script.connects.length, 100)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is paced when the credentials provider is interrupted", () => {
    let asked = 0
    return Effect.gen(function*() {
      yield* poolOf({ min: 1 })
      yield* TestClock.adjust("1 second")
      assert.isBelow(asked, 100)
    }).pipe(Effect.provide(Scripted.sessions(Scripted.make({}), {
      credentials: () => Effect.suspend(() => ++asked > 5000 ? Effect.never : Effect.interrupt)
    })))
  })
})
