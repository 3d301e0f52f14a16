/**
 * Fallback as an execution plan: the decisions of failover, step by step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Fallback, FallbackPolicy, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { fleet, lost, refused, servers, textOf, two } from "../../fixtures/fleet.ts"

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ??
    (error as { readonly _tag: string })._tag

const failing = (reason: SessionError.Reason) => () => Effect.fail(reason)

const program = Effect.flatMap(
  FallbackPolicy.CurrentSession,
  (session) => Effect.map(session.callTool("charge"), textOf)
)

const planned = Effect.flatMap(Fallback.plan({ servers }), (plan) => Effect.withExecutionPlan(program, plan))

describe("an execution plan", () => {
  it.effect("moves a call that was not sent, and does not move a tool call that may have run", () => {
    const members = two()
    return Effect.gen(function*() {
      assert.strictEqual(yield* planned, "primary")
      members.primary.trouble.answer = failing(lost)
      assert.strictEqual(reasonOf(yield* Effect.flip(planned)), "OutcomeUnknown")
      assert.deepStrictEqual(members.secondary.calls(), [])
      members.primary.trouble.answer = failing(new SessionError.AuthRequired({ status: 401 }))
      assert.strictEqual(yield* planned, "secondary")
      members.secondary.trouble.answer = failing(new SessionError.AuthRequired({ status: 403 }))
      assert.strictEqual(reasonOf(yield* Effect.flip(planned)), "AuthRequired")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("skips an ejected server, and uses an unfit one once per panic window", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      for (let n = 0; n < 8; n++) assert.strictEqual(yield* planned, "secondary")
      assert.strictEqual(members.primary.script.connects.length, 4)
      yield* members.secondary.script.lose(lost)
      members.secondary.trouble.connect = refused
      for (let n = 0; n < 20; n++) yield* Effect.flip(planned)
      assert.isAtMost(members.secondary.script.connects.length, 6)
      members.primary.trouble.connect = undefined
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(yield* planned, "primary")
    }).pipe(Effect.provide(fleet(members, { reconnect: Schedule.spaced("1 second") })))
  })

  it.effect("keeps concurrent operations apart", () => {
    const members = two()
    const gate = Deferred.makeUnsafe<void>()
    members.primary.trouble.answer = (_, name) =>
      name === "charge"
        ? Effect.andThen(Deferred.await(gate), Effect.fail(new SessionError.AuthRequired({ status: 401 })))
        : undefined
    return Effect.gen(function*() {
      const plan = yield* Effect.flatMap(Sessions.Sessions, ({ fallbackPlan }) => fallbackPlan({ servers }))
      const both = Effect.all([
        Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.callTool("other")),
        program
      ], { concurrency: 2 }).pipe(Effect.withExecutionPlan(plan))
      const alone = yield* start(Effect.withExecutionPlan(program, plan))
      const fiber = yield* start(Effect.flip(both))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(alone), "secondary")
      assert.strictEqual(reasonOf(yield* Fiber.join(fiber)), "AuthRequired")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("uses the server with the fewest failures in panic mode, although it is not the first", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      for (let n = 0; n < 5; n++) yield* Effect.flip(callTool("primary", "t"))
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("secondary", "t"))
      members.secondary.trouble.connect = undefined
      const result = yield* Effect.result(Effect.withExecutionPlan(program, plan))
      assert.strictEqual(result._tag, "Success")
    }).pipe(
      Effect.provide(fleet(members, {
        retry: RetryPolicy.never,
        fallback: { ...FallbackPolicy.fallbackDefault, probeInterval: "1 hour" }
      }))
    )
  })

  it.effect("readmits a server that has answered in panic mode", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("primary", "t"))
      for (let n = 0; n < 5; n++) yield* Effect.flip(callTool("secondary", "t"))
      members.primary.trouble.connect = undefined
      assert.strictEqual(yield* Effect.withExecutionPlan(program, plan), "primary")
      const again = yield* Effect.result(Effect.withExecutionPlan(program, plan))
      assert.strictEqual(again._tag, "Success")
    }).pipe(
      Effect.provide(fleet(members, {
        retry: RetryPolicy.never,
        fallback: { ...FallbackPolicy.fallbackDefault, probeInterval: "1 hour" }
      }))
    )
  })
})
