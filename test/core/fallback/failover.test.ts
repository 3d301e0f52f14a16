/**
 * Failover: the operations that move to the next server, and the error when all servers fail.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ConfigError,
  Fallback,
  FallbackPolicy,
  RetryPolicy,
  type Session,
  SessionError,
  Sessions
} from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { call, fleet, lost, named, refused, run, servers, textOf, two, unavailable } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ??
    (error as { readonly _tag: string })._tag

const failing = (reason: SessionError.Reason) => () => Effect.fail(reason)

describe("failover", () => {
  it.effect("stays on the first server while it works", () => {
    const members = two()
    return Effect.gen(function*() {
      assert.strictEqual(yield* call(), "primary")
      assert.strictEqual(members.secondary.script.connects.length, 0)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("applies to Fallback.run", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      const server = yield* Fallback.run(
        { servers },
        (session) => Effect.as(session.callTool("charge"), session.server)
      )
      assert.strictEqual(server, "secondary")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("moves a call that could not be sent, after one connect attempt", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      assert.strictEqual(yield* call(), "secondary")
      assert.deepStrictEqual(members.primary.script.connects, [0])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("retries a rejected call on the first server as long as the `retry` policy allows, then moves it", () => {
    const members = two()
    members.primary.trouble.answer = failing(unavailable)
    return Effect.gen(function*() {
      const fiber = yield* start(call({ retry: RetryPolicy.retryDefault }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "secondary")
      assert.deepStrictEqual(members.primary.calls(), ["charge", "charge", "charge", "charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  for (
    const [what, reason] of [
      [
        "that the server rejected before it ran",
        new SessionError.HttpFailed({ status: 503, retryAfter: "1", delivery: "Rejected" })
      ],
      ["whose credentials the server rejected", new SessionError.AuthRequired({ status: 401 })]
    ] as const
  ) {
    it.effect(`moves a tool call ${what}`, () => {
      const members = two()
      members.primary.trouble.answer = failing(reason)
      return Effect.map(call(), (text) => assert.strictEqual(text, "secondary")).pipe(Effect.provide(fleet(members)))
    })
  }

  it.effect("moves an operation whose credentials provider fails for the first server", () => {
    const members = two()
    return Effect.gen(function*() {
      const result = yield* Effect.result(call())
      assert.strictEqual(result._tag, "Success")
    }).pipe(Effect.provide(fleet(members, {
      credentials: ({ owner, server }) =>
        server === "primary" ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({})
    })))
  })

  it.effect("moves a read, also when its connection was lost", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      const { contents } = yield* run((session) => session.readResource("test:"))
      assert.strictEqual(contents[0]?.uri, "secondary")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("moves a tool call that may have run when the caller says that it is idempotent", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      const result = yield* run((session) => session.callTool("put", {}, { idempotent: true }))
      assert.strictEqual(textOf(result), "secondary")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("moves an idempotent tool call whose server dies, also with a `retry` policy", () => {
    const members = two()
    members.primary.trouble.answer = () =>
      Effect.suspend(() => {
        members.primary.trouble.connect = refused
        return Effect.fail(new SessionError.TransportClosed({ delivery: "Unknown" }))
      })
    return Effect.gen(function*() {
      const fiber = yield* start(
        run((session) => session.callTool("put", {}, { idempotent: true }), { retry: RetryPolicy.retryDefault })
      )
      const exit = yield* settled(fiber)
      assert.strictEqual(exit?._tag, "Success")
      assert.deepStrictEqual(members.secondary.calls(), ["put"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("moves a watched list that was never requested", () => {
    const members = two()
    members.primary.trouble.connect = refused
    members.secondary.trouble.answer = () => Effect.succeed({ tools: [] })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.result(run((session) => Stream.runHead(session.watchTools))))
      yield* settled(fiber)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("does not move a tool call that may have run, which fails with OutcomeUnknown", () => {
    const members = two()
    members.primary.trouble.answer = failing(lost)
    return Effect.gen(function*() {
      assert.strictEqual(reasonOf(yield* Effect.flip(call())), "OutcomeUnknown")
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("does not move a call that the server answered with an error", () => {
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

  it.effect("moves neither an error of the operation itself nor an error of another session", () => {
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

  for (
    const [what, tool, moves] of [["with side effects", "charge", false], [
      "that is safe to run again",
      "safe",
      true
    ]] as const
  ) {
    it.effect(`${moves ? "moves" : "does not move"} an operation that has run a tool ${what}`, () => {
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
    it.effect(`does not move an operation that has run a tool on a session it took itself (${way})`, () => {
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

  it.effect("does not move an operation that gave up waiting for a tool and then failed at a read", () => {
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

  it.effect("tries each server once, also one that is listed twice", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(unavailable)
    return Effect.gen(function*() {
      yield* call({ servers: ["primary", "primary", "secondary"] })
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("leaves the resources of an operation to the caller's scope", () => {
    const members = two()
    let open = 0
    const resource = Effect.acquireRelease(Effect.sync(() => ++open), () => Effect.sync(() => --open))
    return Effect.gen(function*() {
      const { withFallback } = yield* Sessions.Sessions
      yield* Effect.scoped(Effect.gen(function*() {
        yield* withFallback({ servers }, () => resource)
        assert.strictEqual(open, 1)
      }))
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("failover, when all servers fail", () => {
  it.effect("fails with the error of each server, in their order", () => {
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

  it.effect("fails with a ConfigError for an unknown server before it tries any", () => {
    const members = two()
    return Effect.gen(function*() {
      const failed = yield* Effect.flip(call({ servers: ["primary", "secundary"] }))
      assert.instanceOf(failed, ConfigError.ConfigError)
      assert.deepStrictEqual(members.primary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("failover over replicas", () => {
  const three = () => ({ a: named("a"), b: named("b"), c: named("c") })

  const replicas = ["a", "b", "c"] as const

  it.effect("takes turns with roundRobin, and skips an ejected replica", () => {
    const members = three()
    const order = FallbackPolicy.roundRobin()
    return Effect.gen(function*() {
      const seen: Array<string> = []
      for (let n = 0; n < 6; n++) seen.push(yield* call({ servers: replicas, order }))
      assert.deepStrictEqual(seen, ["a", "b", "c", "a", "b", "c"])
      members.b.trouble.answer = failing(unavailable)
      for (let n = 0; n < 30; n++) assert.notStrictEqual(yield* call({ servers: replicas, order }), "b")
      assert.strictEqual(members.b.calls().length, 2 + 4)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("counts requests in flight for leastInFlight", () => {
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
