/**
 * Leases: waiting for a session, and the error of a waiter that gets none.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Effect, Exit, Fiber, Inspectable } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { poolOf } from "../../fixtures/pool.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("a waiter of a pool", () => {
  it.effect("gets a session after the opening of another one died with a defect", () => {
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

  it.effect("waits for credentials no longer than `acquireTimeout`", () => {
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

  it.effect("waits no longer than `acquireTimeout` when it cannot be interrupted", () => {
    const script = Scripted.make({ connect: () => Effect.never })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ acquireTimeout: "5 seconds" })
      const fiber = yield* Effect.forkDetach(Effect.scoped(Effect.acquireRelease(pool.get(), () => Effect.void)), {
        startImmediately: true
      })
      yield* settled(fiber, 10)
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Failure")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  const exited = new SessionError.ServerExited({
    exitCode: 1,
    signal: null,
    stderrTail: "the ledger of a",
    delivery: "NotSent"
  })

  it.effect("receives no details of another owner's processes in AcquireTimeout", () => {
    let isDown = true
    const script = Scripted.make({ connect: () => Effect.suspend(() => isDown ? Effect.fail(exited) : Effect.void) })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const failing = yield* start(Effect.exit(pool.callTool("t", {}, { owner: "a" })))
      yield* settled(failing)
      isDown = false
      yield* pool.get({ owner: "c" })
      const waiting = yield* start(Effect.flip(pool.get({ owner: "b" })))
      yield* settled(waiting)
      assert.notInclude(JSON.stringify(yield* Fiber.join(waiting)), "the ledger of a")
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })

  it.effect("receives no details of another owner's credentials in AcquireTimeout", () => {
    const script = Scripted.make({ connect: () => Effect.never })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ min: 1, acquireTimeout: "1 second" })
      const waiting = yield* start(Effect.flip(pool.callTool("t", {}, { owner: "b" })))
      yield* settled(waiting)
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error._tag, "AcquireTimeout")
      assert.notInclude(JSON.stringify(error) + error.message + Inspectable.toStringUnknown(error), "hunter2")
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: ({ owner }) =>
        owner === "b"
          ? Effect.succeed({})
          : Effect.fail(new SessionError.CredentialsFailed({ owner, cause: new Error("hunter2 is wrong") }))
    })))
  })
})
