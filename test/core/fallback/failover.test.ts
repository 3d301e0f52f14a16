/**
 * Operations on whichever of several servers can do them: what moves on, what does not, who is passed over and when it is back.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Circuit,
  ConfigError,
  FallbackPolicy,
  RetryPolicy,
  type Session,
  SessionError,
  Sessions
} from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { call, fleet, lost, named, refused, run, servers, textOf, two } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ??
    (error as { readonly _tag: string })._tag

const failing = (reason: SessionError.Reason) => () => Effect.fail(reason)

describe("what moves on to the next server", () => {
  it.effect("is nothing as long as the first one does it", () => {
    const members = two()
    return Effect.gen(function*() {
      assert.strictEqual(yield* call(), "primary")
      assert.strictEqual(members.secondary.script.connects.length, 0)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is what could not be sent, after one try to connect", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      assert.strictEqual(yield* call(), "secondary")
      assert.deepStrictEqual(members.primary.script.connects, [0])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is what could not be sent after as many tries as the policy says, where one is given", () => {
    const members = two()
    members.primary.trouble.answer = failing(
      new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })
    )
    return Effect.gen(function*() {
      const fiber = yield* start(call({ retry: RetryPolicy.retryDefault }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "secondary")
      assert.deepStrictEqual(members.primary.calls(), ["charge", "charge", "charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  for (
    const [what, reason] of [
      ["refused before it ran", new SessionError.HttpFailed({ status: 503, retryAfter: "1", delivery: "Rejected" })],
      ["turned away for want of credentials", new SessionError.AuthRequired({ status: 401 })]
    ] as const
  ) {
    it.effect(`is a tool that was ${what}`, () => {
      const members = two()
      members.primary.trouble.answer = failing(reason)
      return Effect.map(call(), (text) => assert.strictEqual(text, "secondary")).pipe(Effect.provide(fleet(members)))
    })
  }

  it.effect("is a read, whatever became of it", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      const { contents } = yield* run((session) => session.readResource("test:"))
      assert.strictEqual(contents[0]?.uri, "secondary")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is a tool that may have run, if the call says that this does no harm", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      const result = yield* run((session) => session.callTool("put", {}, { idempotent: true }))
      assert.strictEqual(textOf(result), "secondary")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is not a tool that may have run: that fails as it does without fallback", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      assert.strictEqual(reasonOf(yield* Effect.flip(call())), "OutcomeUnknown")
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is not what the server answered, be it an error", () => {
    const members = two()
    members.primary.trouble.answer = failing(
      new SessionError.ProtocolFailed({
        method: "tools/call",
        code: -32602,
        description: "no such tool",
        data: undefined
      })
    )
    return Effect.gen(function*() {
      assert.strictEqual(reasonOf(yield* Effect.flip(call())), "ProtocolFailed")
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is not what the operation itself fails with, nor an error of another session", () => {
    const members = { ...two(), other: named("other") }
    members.other.trouble.connect = refused
    return Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(run(() => Effect.fail("mine"))), "mine")
      const { callTool } = yield* Sessions.Sessions
      const error = yield* Effect.flip(run(() => callTool("other", "t", {}, { retry: RetryPolicy.never })))
      assert.strictEqual(reasonOf(error), "ConnectionRefused")
      assert.deepStrictEqual(members.secondary.script.connects, [])
    }).pipe(Effect.provide(fleet(members, { retry: RetryPolicy.never })))
  })

  for (const [what, tool, moves] of [["has run", "charge", false], ["has run, and is safe,", "safe", true]] as const) {
    it.effect(`is ${moves ? "" : "not "}an operation of which a tool ${what} before the one that failed`, () => {
      const members = two()
      members.primary.trouble.answer = (_, name) =>
        name === "second"
          ? Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "1", delivery: "Rejected" }))
          : undefined
      const stdio = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0, trusted: true }
      return Effect.gen(function*() {
        const result = yield* Effect.result(
          run((session) => Effect.andThen(session.callTool(tool), session.callTool("second")))
        )
        assert.strictEqual(result._tag, moves ? "Success" : "Failure")
        assert.deepStrictEqual(members.secondary.calls(), moves ? [tool, "second"] : [])
      }).pipe(Effect.provide(fleet(members, { servers: { primary: stdio, secondary: stdio } })))
    })
  }

  for (const way of ["withFallback", "fallbackPlan"] as const) {
    it.effect(`is not an operation that ran a tool on a session of its own making (${way})`, () => {
      const members = { ...two(), other: named("other") }
      members.primary.trouble.answer = failing(lost)
      return Effect.gen(function*() {
        const { callTool, fallbackPlan } = yield* Sessions.Sessions
        const operation = (session: Session.Session) =>
          Effect.andThen(callTool("other", "charge"), session.readResource("test:"))
        const error = yield* Effect.flip(
          way === "withFallback"
            ? run(operation)
            : Effect.withExecutionPlan(
              Effect.flatMap(FallbackPolicy.CurrentSession, operation),
              yield* fallbackPlan({ servers })
            )
        )
        assert.strictEqual(reasonOf(error), "TransportFailed")
        assert.deepStrictEqual(members.other.calls(), ["charge"])
        assert.deepStrictEqual(members.secondary.script.connects, [])
      }).pipe(Effect.provide(fleet(members)))
    })
  }

  it.effect("is not an operation that gave up waiting for a tool, and failed at something else then", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "tools/call" ? Effect.never : Effect.fail(lost)
    return Effect.gen(function*() {
      const fiber = yield* start(
        Effect.flip(
          run((session) =>
            Effect.andThen(Effect.timeoutOption(session.callTool("slow"), "1 second"), session.readResource("test:"))
          )
        )
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(reasonOf(yield* Fiber.join(fiber)), "TransportFailed")
      assert.deepStrictEqual(members.secondary.script.connects, [])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("when no server does it", () => {
  it.effect("the failure has the error of each, in their order", () => {
    const members = { ...two(), tertiary: named("tertiary") }
    const reasons = [
      Scripted.refused,
      new SessionError.AuthRequired({ status: 401 }),
      new SessionError.SpawnFailed({ command: "t", code: "ENOENT" })
    ]
    Object.values(members).forEach(({ trouble }, index) =>
      trouble.connect = Effect.fail(reasons[index] ?? Scripted.refused)
    )
    return Effect.gen(function*() {
      const failed = yield* Effect.flip(call({ servers: ["primary", "secondary", "tertiary"] }))
      assert(failed._tag === "AllServersFailed")
      assert.deepStrictEqual(
        failed.errors.map(({ reason, server }) => [server, reason._tag]),
        [["primary", "ConnectionRefused"], ["secondary", "AuthRequired"], ["tertiary", "SpawnFailed"]]
      )
      for (const { message } of failed.errors) assert.include(failed.message, message)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("and none is fit, the least bad one is tried once per window and is back when it answers", () => {
    const members = { ...two(), tertiary: named("tertiary") }
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    const all = ["primary", "secondary", "tertiary"] as const
    const connects = () => Object.values(members).map(({ script }) => script.connects.length)
    return Effect.gen(function*() {
      const { circuit } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(call({ servers: all }))
      assert.deepStrictEqual(connects(), [4, 4, 4])
      assert.strictEqual((yield* circuit("primary")).state, "open")
      // All are open: one is tried, whose circuit that does not stop, and then none until the window is over.
      for (let n = 0; n < 20; n++) {
        const failed = yield* Effect.flip(call({ servers: all }))
        assert(failed._tag === "AllServersFailed")
        assert.strictEqual(failed.errors.length, 3)
      }
      assert.deepStrictEqual(connects(), [5, 4, 4])
      yield* TestClock.adjust("5 seconds")
      yield* Effect.flip(call({ servers: all }))
      // The first has one failure more than the others now.
      assert.deepStrictEqual(connects(), [5, 5, 4])
      yield* TestClock.adjust("4999 millis")
      yield* Effect.flip(call({ servers: all }))
      assert.deepStrictEqual(connects(), [5, 5, 4])
      for (const { trouble } of Object.values(members)) trouble.connect = undefined
      yield* TestClock.adjust("1 millis")
      for (let n = 0; n < 3; n++) assert.strictEqual(yield* call({ servers: all }), "tertiary")
      assert.strictEqual((yield* circuit("tertiary")).state, "open")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* call({ servers: all }), "tertiary")
      assert.strictEqual((yield* circuit("tertiary")).state, "closed")
    }).pipe(Effect.provide(fleet(members, {
      circuit: { failures: 4, openFor: "1 minute" },
      fallback: { ...FallbackPolicy.fallbackDefault, probeInterval: "1 hour" }
    })))
  })

  it.effect("because a name is wrong, that is said before anything is tried", () => {
    const members = two()
    return Effect.gen(function*() {
      const failed = yield* Effect.flip(call({ servers: ["primary", "secundary"] }))
      assert.instanceOf(failed, ConfigError.ConfigError)
      assert.deepStrictEqual(members.primary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("a server that is not well", () => {
  it.effect("is passed over after more than three failures, and is back after three signs of life in a row", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      const tries: Array<string> = []
      for (let n = 0; n < 6; n++) tries.push(yield* call())
      assert.deepStrictEqual(members.primary.script.connects.length, 4)
      assert.deepStrictEqual(new Set(tries), new Set(["secondary"]))
      // Asked after 5 seconds, and then as the policy says.
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(members.primary.script.connects.length, 5)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(members.primary.script.connects.length, 7)
      members.primary.trouble.connect = undefined
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* call(), "secondary")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* call(), "secondary")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* call(), "primary")
      assert.strictEqual(members.primary.pings(), 3)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(members.primary.pings(), 3)
    }).pipe(Effect.provide(fleet(members)))
  })

  /** Who served a call in each second, while the primary is up and down for so many seconds in turn, and then up for good. */
  const served = (
    options: { readonly members: ReturnType<typeof two>; readonly period: number; readonly until: number }
  ) =>
    Effect.gen(function*() {
      const { members: { primary: { script, trouble } }, period, until } = options
      const seen: Array<string> = []
      for (let second = 0; second < until + 600; second++) {
        const isDown = second % (2 * period) >= period && second < until
        trouble.connect = isDown ? refused : undefined
        if (isDown) yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
        seen.push(yield* call())
        yield* TestClock.adjust("1 second")
      }
      return seen
    })

  const switchesOf = (seen: ReadonlyArray<string>) => seen.filter((server, n) => n > 0 && server !== seen[n - 1]).length

  it.effect("and comes and goes by the second is passed over until it is well for good", () => {
    const members = two()
    return Effect.gen(function*() {
      const seen = yield* served({ members, period: 1, until: 240 })
      // The fourth failure within a minute is in the eighth second.
      assert.strictEqual(switchesOf(seen.slice(8)), 1)
      assert.strictEqual(seen[240], "secondary")
      assert.strictEqual(seen.at(-1), "primary")
    }).pipe(
      Effect.provide(fleet(members, { circuit: Circuit.circuitDefault, reconnect: RetryPolicy.reconnectDefault }))
    )
  })

  it.effect("and comes and goes by the minute takes the traffic with it less and less", () => {
    const members = two()
    return Effect.gen(function*() {
      const seen = yield* served({ members, period: 30, until: 1800 })
      // It is up and down 30 times.
      assert.isAtMost(switchesOf(seen.slice(0, 1800)), 6)
      assert.strictEqual(seen.at(-1), "primary")
    }).pipe(
      Effect.provide(fleet(members, { circuit: Circuit.circuitDefault, reconnect: RetryPolicy.reconnectDefault }))
    )
  })

  it.effect("because its circuit is open costs nothing but a look", () => {
    const members = two()
    members.primary.trouble.answer = failing(
      new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })
    )
    return Effect.gen(function*() {
      for (let n = 0; n < 50; n++) assert.strictEqual(yield* call(), "secondary")
      assert.strictEqual(members.primary.calls().length, 4)
    }).pipe(Effect.provide(fleet(members, { circuit: Circuit.circuitDefault })))
  })

  it.effect("because nothing was heard of it for long has to give a sign of life first", () => {
    const members = two()
    return Effect.gen(function*() {
      yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("primary"))
      assert.strictEqual(yield* call(), "primary")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* call(), "primary")
      assert.strictEqual(members.primary.pings(), 0)
      yield* TestClock.adjust("5 minutes")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* call(), "primary")
      assert.strictEqual(members.primary.pings(), 1)
      yield* TestClock.adjust("6 minutes")
      members.primary.trouble.answer = failing(lost)
      assert.strictEqual(yield* call(), "secondary")
      assert.deepStrictEqual(members.primary.calls(), ["charge", "charge", "charge"])
    }).pipe(Effect.scoped, Effect.provide(fleet(members)))
  })
})

describe("as a plan", () => {
  const program = Effect.flatMap(
    FallbackPolicy.CurrentSession,
    (session) => Effect.map(session.callTool("charge"), textOf)
  )

  const planned = Effect.gen(function*() {
    const plan = yield* Effect.flatMap(Sessions.Sessions, ({ fallbackPlan }) => fallbackPlan({ servers }))
    return yield* Effect.withExecutionPlan(program, plan)
  })

  it.effect("it does the same: what was not sent moves on, what may have run does not", () => {
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

  it.effect("it passes over who is not well, and tries the least bad of all who are not once per window", () => {
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

  it.effect("it keeps apart what runs at the same time", () => {
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
})

describe("over replicas", () => {
  const three = () => ({ a: named("a"), b: named("b"), c: named("c") })
  const replicas = ["a", "b", "c"] as const

  it.effect("operations go round, past those that are not well", () => {
    const members = three()
    const order = FallbackPolicy.roundRobin()
    return Effect.gen(function*() {
      const seen: Array<string> = []
      for (let n = 0; n < 6; n++) seen.push(yield* call({ servers: replicas, order }))
      assert.deepStrictEqual(seen, ["a", "b", "c", "a", "b", "c"])
      members.b.trouble.answer = failing(
        new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })
      )
      for (let n = 0; n < 30; n++) assert.notStrictEqual(yield* call({ servers: replicas, order }), "b")
      assert.strictEqual(members.b.calls().length, 2 + 4)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("operations go to the one with the fewest requests under way", () => {
    const members = three()
    const gates: Array<Deferred.Deferred<void>> = []
    for (const [name, { trouble }] of Object.entries(members)) {
      trouble.answer = () => {
        const gate = Deferred.makeUnsafe<void>()
        gates.push(gate)
        return Effect.as(Deferred.await(gate), { content: [{ type: "text", text: name }] })
      }
    }
    const order = FallbackPolicy.leastInFlight()
    return Effect.gen(function*() {
      const calls = yield* Effect.forEach(Array.from({ length: 7 }), () => start(call({ servers: replicas, order })))
      const perServer = () => Object.values(members).map(({ calls }) => calls().length)
      assert.deepStrictEqual(perServer().toSorted(), [2, 2, 3])
      for (const gate of gates) yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(calls)
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("hedging", () => {
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

  it.effect("asks the next server what takes too long, takes the first answer and cancels the other", () => {
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

  it.effect("takes the answer of the first if that comes first after all, and asks nobody else where it comes in time", () => {
    const members = two()
    members.secondary.trouble.answer = slow(5000)
    members.primary.trouble.answer = slow(1500)
    return Effect.gen(function*() {
      const fiber = yield* start(read())
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "slow")
      assert.strictEqual(members.secondary.script.requests.length, 1)
      members.primary.trouble.answer = slow(900)
      const next = yield* start(read())
      yield* TestClock.adjust("900 millis")
      yield* Fiber.join(next)
      assert.strictEqual(members.secondary.script.requests.length, 1)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("goes on with the other when one fails, and fails with the errors of both", () => {
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

  it.effect("runs a tool on one server only, however long that takes", () => {
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

  it.effect("lets the first that comes to a tool go on alone, and the other run nothing", () => {
    const members = two()
    // The read of the first takes long, so that the second is asked, which gets to the tool first.
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

  it.effect("costs a retry of the server that is asked too, and is left out when it has none", () => {
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

  it.effect("ends with its caller, on both servers", () => {
    const members = two()
    let waiting = 0
    for (const { trouble } of Object.values(members)) {
      trouble.answer = () =>
        Effect.acquireUseRelease(Effect.sync(() => waiting++), () => Effect.never, () => Effect.sync(() => waiting--))
    }
    return Effect.gen(function*() {
      const fiber = yield* start(read())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(waiting, 2)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(waiting, 0)
    }).pipe(Effect.provide(fleet(members)))
  })
})
