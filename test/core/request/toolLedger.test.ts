/**
 * Tool ledger: records the tool calls of an operation, so that a tool runs on one server only.
 */
import { assert, describe, it } from "@effect/vitest"
import { Fallback, FallbackPolicy, SessionError } from "@mcp-sessions/core"
import { Deferred, Effect } from "effect"
import { close, mayFailOver, open, record, tagError } from "../../../packages/core/src/internal/request/toolLedger.ts"
import { settled, start } from "../../fixtures/fibers.ts"
import { fleet, lost, named, run, servers, stdio, two, unavailable } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const three = () => ({ ...two(), ledger: named("ledger") })

const errorOf = (reason: SessionError.Reason) => new SessionError.SessionError({ server: "s", reason })

describe("a tool ledger", () => {
  it.effect("records nothing after the operation has ended", () => {
    const ledger = open()
    const call = record({ effect: Effect.void, isSafe: Effect.succeed(false), ledgers: [ledger] })
    return Effect.gen(function*() {
      yield* call
      assert.strictEqual(ledger.calls.size, 1)
      close(ledger)
      yield* Effect.forEach(Array.from({ length: 1000 }), () => call)
      assert.strictEqual(ledger.calls.size, 0)
    })
  })

  for (
    const [delivery, calls] of [["NotSent", 0], ["Rejected", 0], ["Unknown", 1]] as const
  ) {
    it.effect(`${calls === 0 ? "removes" : "keeps"} a call that failed with the delivery ${delivery}`, () =>
      Effect.gen(function*() {
        const ledger = open()
        const error = errorOf(new SessionError.TransportFailed({ description: "reset", delivery }))
        const isSafe = Effect.succeed(false)
        yield* Effect.flip(record({ effect: Effect.fail(error), isSafe, ledgers: [ledger] }))
        assert.strictEqual(ledger.calls.size, calls)
      }))
  }

  it.effect("lets an operation fail over only with an error of its own, and only while its calls are safe", () =>
    Effect.gen(function*() {
      const [ledger, other] = [open(), open()]
      const may = (error: unknown) => mayFailOver({ error, isOwn: (one) => one === ledger })
      const error = errorOf(unavailable)
      assert.isFalse(yield* may(new Error("of the program")))
      assert.isFalse(yield* may(error))
      assert.isFalse(yield* may(tagError({ error, ledger: other })))
      assert.isTrue(yield* may(tagError({ error, ledger })))
      yield* record({ effect: Effect.void, isSafe: Effect.succeed(true), ledgers: [ledger] })
      assert.isTrue(yield* may(tagError({ error, ledger })))
      yield* record({ effect: Effect.void, isSafe: Effect.succeed(false), ledgers: [ledger] })
      assert.isFalse(yield* may(tagError({ error, ledger })))
    }))
})

describe("a tool runs on one server only", () => {
  it.effect("when the operation does not wait for the call", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "tools/call" ? Effect.never : Effect.fail(lost)
    return Effect.gen(function*() {
      yield* Effect.exit(run((session) =>
        Effect.andThen(
          start(session.callTool("charge")),
          session.readResource("test:")
        )
      ))
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("when another operation fails with the same connection at the same time", () => {
    const members = two()
    const gate = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      const careful = yield* start(Effect.exit(run((session) =>
        session.callTool("charge").pipe(
          Effect.andThen(Deferred.await(gate)),
          Effect.andThen(session.readResource("test:")),
          Effect.onError(() => Effect.sleep("1 second"))
        )
      )))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      members.primary.trouble.connect = Effect.andThen(Effect.sleep("1 second"), Scripted.refused)
      yield* members.primary.script.lose(lost)
      yield* Deferred.succeed(gate, undefined)
      const other = yield* start(run((session) => session.readResource("test:")))
      yield* settled(other)
      yield* settled(careful)
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("when a plan skips its server at the same time", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "resources/read" ? Effect.fail(unavailable) : undefined
    return Effect.gen(function*() {
      for (let n = 0; n < 3; n++) yield* run((session) => session.readResource("test:"))
      const careful = yield* start(Effect.exit(run((session) =>
        session.callTool("charge").pipe(
          Effect.andThen(Effect.forEach([1, 2, 3, 4], () => Effect.flip(session.readResource("test:")))),
          Effect.flatMap(([, , , last]) => Effect.fail(last ?? assert.fail())),
          Effect.onError(() => Effect.sleep("1 second"))
        )
      )))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      const plan = yield* Fallback.plan({ servers })
      yield* Effect.withExecutionPlan(
        Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      yield* settled(careful)
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("when the operation fails with an error of a fallback within it", () => {
    const members = three()
    members.ledger.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.exit(run((session) =>
        Effect.andThen(
          session.callTool("charge"),
          Effect.catchTag(
            run((inner) => inner.readResource("test:"), { servers: ["ledger"] }),
            "AllServersFailed",
            ({ errors }) => Effect.fail(errors[0] ?? assert.fail())
          )
        )
      )))
      yield* settled(fiber)
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("when the operation fails with an error of a plan within it", () => {
    const members = three()
    members.ledger.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const plan = yield* Fallback.plan({ servers: ["ledger"] })
      const fiber = yield* start(Effect.exit(run((session) =>
        Effect.andThen(
          session.callTool("charge"),
          Effect.withExecutionPlan(
            Effect.flatMap(FallbackPolicy.CurrentSession, (inner) => inner.readResource("test:")),
            plan
          )
        )
      )))
      yield* settled(fiber)
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("and its call ends when the server does not return the annotations of the tool", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "tools/list" ? Effect.never : Effect.fail(lost)
    const trusted = { ...stdio, trusted: true }
    return Effect.gen(function*() {
      const fiber = yield* start(run((session) => session.callTool("safe")))
      yield* settled(fiber, 30)
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(fleet(members, { servers: { primary: trusted, secondary: trusted } })))
  })
})
