/**
 * Cleanup: connections close in parallel, each within a time limit, and `onCleanup` reports each outcome.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Cleanup, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Result, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const names = Array.from({ length: 50 }, (_, n) => `s${n}`)

const servers = Object.fromEntries(names.map((name) => [name, stdio]))

/** Adds a finalizer that runs before the other finalizers of a connection. */
const closing = (finalizer: Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer(() => finalizer)

const reportsOf = () => {
  const reports: Array<Cleanup.CleanupReport> = []
  const onCleanup = (report: Cleanup.CleanupReport) => Effect.sync(() => void reports.push(report))
  return { reports, onCleanup }
}

const openAll = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  yield* Effect.forEach(names, (name) => sessions.callTool(name, "t"), { concurrency: "unbounded", discard: true })
})

describe("closing fifty servers", () => {
  for (
    const [what, finalizer, outcome, millis] of [
      ["hangs", Effect.never, "timed-out", 5000],
      ["fails", Effect.die("stubborn"), "failed", 1000]
    ] as const
  ) {
    it.effect(`closes 49 and takes no longer than one server may when the other one ${what}`, () => {
      const script = Scripted.make({
        connect: (attempt) => closing(attempt === 7 ? finalizer : Effect.sleep("1 second"))
      })
      const { onCleanup, reports } = reportsOf()
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          Effect.exit(Effect.provide(openAll, Scripted.sessions(script, { servers, onCleanup }))),
          { startImmediately: true }
        )
        const began = yield* Clock.currentTimeMillis
        yield* Effect.raceFirst(Fiber.await(fiber), Effect.forever(TestClock.adjust("100 millis")))
        const exit = yield* Fiber.join(fiber)
        assert.isAtMost((yield* Clock.currentTimeMillis) - began, millis * 1.2)
        assert.strictEqual(reports.length, 50)
        assert.deepStrictEqual(reports.filter((report) => report.outcome !== "closed").map(({ outcome }) => outcome), [
          outcome
        ])
        assert.strictEqual(Exit.isFailure(exit), what === "fails")
        if (what === "hangs") return
        assert.strictEqual(script.open, 0)
        const defect = Exit.isFailure(exit) ? Cause.findDefect(exit.cause) : undefined
        assert.deepStrictEqual(defect === undefined ? undefined : Result.getOrThrow(defect), "stubborn")
      })
    })
  }
})

describe("onCleanup", () => {
  it.effect("receives a report for each connection, including lost ones and failed handshakes", () => {
    const gone = new SessionError.TransportClosed({ delivery: "Unknown" })
    const script = Scripted.make({
      initialize: (attempt) => attempt === 2 ? Effect.fail(gone) : Effect.void
    })
    const { onCleanup, reports } = reportsOf()
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        yield* script.lose(gone)
        yield* Effect.flip(session.ping)
        yield* session.ping
      }).pipe(
        Effect.scoped,
        Effect.provide(Scripted.sessions(script, { servers: { s: stdio }, onCleanup, retry: RetryPolicy.never }))
      )
      assert.deepStrictEqual(reports.map(({ generation, outcome }) => [generation, outcome]), [
        [1, "closed"],
        [0, "closed"],
        [2, "closed"]
      ])
      assert.strictEqual(script.open, 0)
    })
  })
})

describe("an interrupted connect", () => {
  // Each case interrupts one scheduler turn later, until the connect completes.
  for (const step of Array.from({ length: 12 }, (_, n) => n)) {
    it.effect(`releases its resources when the interruption arrives after ${step} turns`, () => {
      const script = Scripted.make({
        connect: () => Effect.andThen(Effect.yieldNow, closing(Effect.yieldNow)),
        initialize: () => Effect.andThen(Effect.yieldNow, Effect.yieldNow)
      })
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t")).pipe(
            Effect.provide(Layer.fresh(Scripted.sessions(script)))
          ),
          { startImmediately: true }
        )
        for (let turn = 0; turn < step; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(script.open, 0)
      })
    })
  }
})

describe("a receiver of reports", () => {
  for (
    const [what, onCleanup] of [
      ["throws", () => {
        throw new Error("a bug")
      }],
      ["dies", () => Effect.die("a bug")],
      ["never ends", () => Effect.uninterruptible(Effect.never)]
    ] as const
  ) {
    it.effect(`that ${what} neither fails the program nor keeps it from ending`, () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t"))
        const fiber = yield* Effect.forkChild(Effect.provide(program, Scripted.sessions(script, { onCleanup })), {
          startImmediately: true
        })
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual((yield* Fiber.join(fiber)).content, [])
        assert.strictEqual(script.open, 0)
      })
    })
  }
})
