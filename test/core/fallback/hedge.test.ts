/**
 * Hedging: two attempts of one operation, of which one result counts.
 */
import { assert, describe, it } from "@effect/vitest"
import { type FallbackPolicy, type Mcp, type Session, type SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { hedge, type Start } from "../../../packages/core/src/internal/fallback/hedge.ts"
import { settled, start } from "../../fixtures/fibers.ts"
import { call, fleet, lost, named, run, servers, textOf, two } from "../../fixtures/fleet.ts"

/** An attempt that ends after a delay and records its outcome. */
const after = (millis: number, result: string, log: Array<string> = []): Start<string, never> => () =>
  Effect.as(Effect.sleep(millis), result).pipe(
    Effect.tap(() => Effect.sync(() => log.push(`${result} ended`))),
    Effect.onInterrupt(() => Effect.sync(() => log.push(`${result} cancelled`)))
  )

const hedged = (first: Start<string, never>, second: () => Start<string, never> | undefined) =>
  start(hedge({ hedgeAfter: "1 second", first, second, isFinal: (result) => !result.startsWith("failed") }))

describe("hedge", () => {
  it.effect("starts no second attempt when the first one ends in time", () =>
    Effect.gen(function*() {
      const fiber = yield* hedged(after(900, "a"), () => assert.fail("started"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: "a", second: undefined })
    }))

  it.effect("waits for the first attempt when the second one declines", () =>
    Effect.gen(function*() {
      const fiber = yield* hedged(after(5000, "a"), () => undefined)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: "a", second: undefined })
    }))

  it.effect("takes the first final result and cancels the other attempt", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const fiber = yield* hedged(after(5000, "a", log), () => after(1000, "b", log))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: undefined, second: "b" })
      assert.deepStrictEqual(log, ["b ended", "a cancelled"])
    }))

  it.effect("waits for the other attempt when one fails", () =>
    Effect.gen(function*() {
      const fiber = yield* hedged(after(2000, "failed a"), () => after(3000, "failed b"))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: "failed a", second: "failed b" })
    }))

  it.effect("lets the attempt that commits first continue alone, and gives the other no result", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const commits: Start<string, never> = (commit) => Effect.andThen(commit, after(5000, "failed b", log)(commit))
      const fiber = yield* hedged(after(2000, "a", log), () => commits)
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: undefined, second: "failed b" })
      assert.deepStrictEqual(log, ["a cancelled", "failed b ended"])
    }))

  it.effect("starts no second attempt after the first one has committed", () =>
    Effect.gen(function*() {
      const commits: Start<string, never> = (commit) => Effect.andThen(commit, after(5000, "a")(commit))
      const fiber = yield* hedged(commits, () => assert.fail("started"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { first: "a", second: undefined })
    }))

  it.effect("cancels both attempts with its caller, and waits for their end", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const fiber = yield* hedged(after(5000, "a", log), () => after(5000, "b", log))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(log.toSorted(), ["a cancelled", "b cancelled"])
    }))
})

describe("hedging between servers", () => {
  const read = (options: Partial<FallbackPolicy.FallbackOptions> = {}) =>
    Effect.map(
      run((session) => session.readResource("test:"), { hedgeAfter: "1 second", ...options }),
      ({ contents }) => contents[0]?.uri
    )

  const slow = (millis: number) => (): Effect.Effect<unknown, SessionError.Reason> | undefined =>
    Effect.delay(
      Effect.succeed({ contents: [{ uri: "slow", text: "" }], content: [{ type: "text", text: "slow" }] }),
      millis
    )

  it.effect("starts a slow read on the next server, takes the first result and cancels the other request", () => {
    const members = two()
    let cancelled = 0
    members.primary.trouble.answer = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void cancelled++))
    return Effect.gen(function*() {
      const fiber = yield* start(read())
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(members.secondary.script.requests.length, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "secondary")
      assert.strictEqual(cancelled, 1)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("waits for the other server when one fails, and fails with the errors of both", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.delay(Effect.fail(lost), "2 seconds")
    members.secondary.trouble.answer = slow(5000)
    return Effect.gen(function*() {
      const fiber = yield* start(read())
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "slow")
      members.secondary.trouble.answer = () => Effect.delay(Effect.fail(lost), "3 seconds")
      const next = yield* start(Effect.flip(read()))
      yield* TestClock.adjust("6 seconds")
      const failed = yield* Fiber.join(next)
      assert(failed._tag === "AllServersFailed")
      assert.strictEqual(failed.errors.length, 2)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("runs a tool on one server only, however long it takes", () => {
    const members = two()
    members.primary.trouble.answer = slow(60_000)
    return Effect.gen(function*() {
      const fiber = yield* start(call({ hedgeAfter: "1 second" }))
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(members.secondary.script.connects, [])
      yield* TestClock.adjust("9 seconds")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "slow")
    }).pipe(Effect.provide(fleet(members, {
      servers: Object.fromEntries(servers.map((name) => [name, {
        transport: "stdio",
        command: name,
        args: [],
        healthInterval: 0,
        requestTimeout: "2 minutes"
      }]))
    })))
  })

  it.effect("continues only with the attempt that reaches a tool call first", () => {
    const members = two()
    // The first server reads slowly, so the second attempt starts and reaches the tool call first.
    members.primary.trouble.answer = (method) => method === "resources/read" ? slow(10_000)() : undefined
    return Effect.gen(function*() {
      const fiber = yield* start(
        run(
          (session) => Effect.andThen(session.readResource("test:"), Effect.map(session.callTool("charge"), textOf)),
          {
            hedgeAfter: "1 second"
          }
        )
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "secondary")
      assert.deepStrictEqual(members.primary.calls(), [])
      assert.deepStrictEqual(members.secondary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("takes a token of the retry budget of the next server, and does not hedge without one", () => {
    const members = two()
    members.primary.trouble.answer = slow(3000)
    return Effect.gen(function*() {
      for (let n = 0; n < 30; n++) {
        members.secondary.trouble.answer = slow(10_000)
        const fiber = yield* start(read())
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "slow")
      }
      assert.strictEqual(members.secondary.script.requests.length, 10)
    }).pipe(Effect.provide(fleet(members)))
  })

  for (
    const [what, beside] of [
      [
        "beside another effect",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) =>
          Effect.map(Effect.all([tool, Effect.void], { concurrency: 2 }), ([result]) => result)
      ],
      [
        "in a race",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) => Effect.raceFirst(tool, Effect.never)
      ]
    ] as const
  ) {
    it.effect(`runs a tool that is called ${what}`, () => {
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

  it.effect("continues with only one of two attempts whose tool calls cannot be interrupted", () => {
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
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      assert.deepStrictEqual([...members.primary.calls(), ...members.secondary.calls()], ["open"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("has ended on both servers when the interruption of its caller completes", () => {
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

  it.effect("hedges an operation that cannot be interrupted", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.never
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkDetach(
        Effect.acquireRelease(
          run((session) => session.readResource("test:"), { hedgeAfter: "1 second" }),
          () => Effect.void
        )
          .pipe(Effect.scoped),
        { startImmediately: true }
      )
      yield* settled(fiber, 20)
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("runs a tool once that both attempts call on a third server", () => {
    const members = { ...two(), ledger: named("ledger") }
    for (const { trouble } of [members.primary, members.secondary]) {
      trouble.answer = (method) =>
        method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "5 seconds") : undefined
    }
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(run(
        (session) => Effect.andThen(callTool("ledger", "charge"), session.readResource("test:")),
        { hedgeAfter: "1 second" }
      ))
      yield* settled(fiber)
      assert.deepStrictEqual(members.ledger.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })
})
