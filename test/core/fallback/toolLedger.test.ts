/**
 * A tool runs on one server only, whatever else goes on at the time.
 */
import { assert, describe, it } from "@effect/vitest"
import { FallbackPolicy, type Mcp, type Session, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { close, open, record } from "../../../packages/core/src/internal/request/toolLedger.ts"
import { settled, start } from "../../fixtures/fibers.ts"
import { fleet, lost, refused, run, servers, two } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const unavailable = new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })

describe("fallback: a tool runs on one server only", () => {
  it.effect("even if the operation goes on without waiting for it", () => {
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

  it.effect("and what goes on after the operation is not remembered", () => {
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

  it.effect("even if another operation fails with the same connection at the same time", () => {
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

  it.effect("even if a plan passes its server over at the same time", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "resources/read" ? Effect.fail(unavailable) : undefined
    return Effect.gen(function*() {
      const { fallbackPlan } = yield* Sessions.Sessions
      for (let n = 0; n < 3; n++) yield* run((session) => session.readResource("test:"))
      const careful = yield* start(Effect.exit(run((session) =>
        session.callTool("charge").pipe(
          Effect.andThen(Effect.forEach([1, 2, 3, 4], () => Effect.flip(session.readResource("test:")))),
          Effect.flatMap(([, , , last]) => Effect.fail(last ?? assert.fail())),
          Effect.onError(() => Effect.sleep("1 second"))
        )
      )))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      const plan = yield* fallbackPlan({ servers })
      yield* Effect.withExecutionPlan(
        Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      yield* settled(careful)
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("a tool that runs as a task", () => {
  it.effect("is never told to be NotSent once the server has accepted it", () => {
    let isDown = false
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      connect: () => Effect.suspend(() => isDown ? refused : Effect.void),
      answer: ({ method }) =>
        Effect.sync(() => {
          const task = { taskId: "1", status: "working", pollInterval: 1000 }
          return method === "tools/call" ? { task } : task
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(Effect.flip(callTool("s", "charge", {}, { task: {} })))
      yield* TestClock.adjust("1500 millis")
      assert.include(script.requests, "1:tools/call:charge")
      isDown = true
      yield* script.lose(lost)
      yield* settled(fiber)
      const error = yield* Fiber.join(fiber)
      assert(error._tag === "SessionError")
      assert.deepStrictEqual([error.delivery, error.isRetryable], ["Unknown", false])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("fallback: hedging", () => {
  for (
    const [what, beside] of [
      [
        "beside something else",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) =>
          Effect.map(Effect.all([tool, Effect.void], { concurrency: 2 }), ([result]) => result)
      ],
      [
        "in a race",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) => Effect.raceFirst(tool, Effect.never)
      ]
    ] as const
  ) {
    it.effect(`lets a tool run that is called ${what}`, () => {
      const members = two()
      members.primary.trouble.answer = (method) =>
        method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "10 millis") : undefined
      return Effect.gen(function*() {
        const fiber = yield* start(Effect.exit(
          run(
            (session) => Effect.andThen(session.readResource("test:"), beside(session.callTool("charge"))),
            { hedgeAfter: "1 second" }
          )
        ))
        yield* TestClock.adjust("100 millis")
        yield* settled(fiber)
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
        assert.deepStrictEqual(members.primary.calls(), ["charge"])
      }).pipe(Effect.provide(fleet(members)))
    })
  }

  it.effect("lets one of two go on whose tools are called where they cannot be interrupted", () => {
    const members = two()
    members.primary.trouble.answer = (method) =>
      method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "3 seconds") : undefined
    return Effect.gen(function*() {
      const operation = (session: Session.Session) =>
        Effect.acquireUseRelease(
          Effect.andThen(session.readResource("test:"), session.callTool("open")),
          Effect.succeed,
          () => Effect.void
        )
      const fiber = yield* Effect.forkDetach(run(operation, { hedgeAfter: "1 second" }), { startImmediately: true })
      yield* settled(fiber)
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("has ended on both servers when its caller is told of the interruption", () => {
    const members = two()
    let under = 0
    for (const { trouble } of Object.values(members)) {
      trouble.answer = () =>
        Effect.acquireUseRelease(Effect.sync(() => under++), () => Effect.never, () => Effect.sync(() => under--))
    }
    let seen: number | undefined
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.acquireUseRelease(
        Effect.void,
        () => run((session) => session.readResource("test:"), { hedgeAfter: "1 second" }),
        () =>
          Effect.sync(() => {
            seen = under
          })
      ))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(under, 2)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(seen, 0)
    }).pipe(Effect.provide(fleet(members)))
  })
})
