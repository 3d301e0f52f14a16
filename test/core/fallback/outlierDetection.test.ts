/**
 * Who is passed over and who is not, and what is told of that to whom.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Circuit,
  type Credentials,
  FallbackPolicy,
  RetryPolicy,
  SessionError,
  SessionPool,
  Sessions
} from "@mcp-sessions/core"
import { Cause, Effect, Exit, Fiber, Option, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { call, fleet, refused, run, servers, stdio, textOf, two } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const unavailable = new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })

const unauthorized = new SessionError.AuthRequired({ status: 401 })

describe("fallback: what moves on", () => {
  it.effect("is an operation whose credentials cannot be had at the first server", () => {
    const members = two()
    return Effect.gen(function*() {
      const result = yield* Effect.result(call())
      assert.strictEqual(result._tag, "Success")
    }).pipe(Effect.provide(fleet(members, {
      credentials: ({ owner, server }) =>
        server === "primary" ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({})
    })))
  })

  it.effect("is an idempotent tool whose server dies with it, also where a retry policy is given", () => {
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

  it.effect("is a list that is watched, which was never sent", () => {
    const members = two()
    members.primary.trouble.connect = refused
    members.secondary.trouble.answer = () => Effect.succeed({ tools: [] })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.result(run((session) => Stream.runHead(session.watchTools))))
      yield* settled(fiber)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("tries each server once, also one that is named twice", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(unavailable)
    return Effect.gen(function*() {
      yield* call({ servers: ["primary", "primary", "secondary"] })
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("leaves what an operation acquires to the scope of its caller", () => {
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

describe("fallback: standing", () => {
  it.effect("of a server that is not well for one owner is no worse for another", () => {
    const members = two()
    const owners = fleet(members, {
      credentials: ({ owner }) => Effect.succeed({ env: { TOKEN: Redacted.make(owner) } })
    })
    let current = ""
    members.primary.trouble.answer = () => current === "revoked" ? Effect.fail(unauthorized) : undefined
    const as = (owner: string) =>
      Effect.suspend(() => {
        current = owner
        return call({ owner })
      })
    return Effect.gen(function*() {
      assert.strictEqual(yield* as("good"), "primary")
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* as("revoked"), "secondary")
      assert.strictEqual(yield* as("good"), "primary")
    }).pipe(Effect.provide(owners))
  })

  it.effect("of a server is no worse for an owner that waits for itself", () => {
    const members = two()
    members.primary.trouble.answer = (_, tool) => tool === "slow" ? Effect.never : undefined
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach([1, 2], () => start(callTool("primary", "slow", {}, { owner: "loud" })))
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* call({ owner: "loud" }), "secondary")
      assert.strictEqual(yield* call({ owner: "quiet" }), "primary")
    }).pipe(Effect.provide(fleet(members, {
      servers: { primary: { ...stdio, maxInFlight: 1, maxQueued: 1 }, secondary: stdio }
    })))
  })

  it.effect("of a server whose signs of life cannot be asked for once is not lost for ever", () => {
    const members = two()
    let given: Credentials.Credentials = {}
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* call()
      members.primary.trouble.connect = undefined
      given = { env: { NODE_OPTIONS: Redacted.make("x") } }
      yield* TestClock.adjust("6 seconds")
      given = {}
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* call(), "primary")
    }).pipe(Effect.provide(fleet(members, {
      credentials: ({ server }) => Effect.sync(() => server === "primary" ? given : {})
    })))
  })

  it.effect("of a server whose signs of life meet a defect once is not lost for ever", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* call()
      members.primary.trouble.connect = Effect.die("once")
      yield* TestClock.adjust("6 seconds")
      members.primary.trouble.connect = undefined
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* call(), "primary")
    }).pipe(Effect.provide(fleet(members)))
  })

  for (const circuit of [Circuit.never, Circuit.circuitDefault]) {
    it.effect(`of a server that failed others, not fallback, is asked for too (${circuit === Circuit.never ? "health" : "circuit"})`, () => {
      const members = two()
      members.primary.trouble.connect = refused
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("primary", "t"))
        members.primary.trouble.connect = undefined
        for (let minute = 0; minute < 60; minute++) {
          yield* call()
          yield* TestClock.adjust("1 minute")
        }
        assert.strictEqual(yield* call(), "primary")
      }).pipe(Effect.provide(fleet(members, { circuit, retry: RetryPolicy.never })))
    })
  }

  it.effect("of a server that never answers gets worse, also where callers have less patience than requests", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.never
    return Effect.gen(function*() {
      let latest: string | undefined
      for (let n = 0; n < 360; n++) {
        const fiber = yield* start(Effect.timeoutOption(call(), "2 seconds"))
        yield* TestClock.adjust("2 seconds")
        latest = Option.getOrUndefined(yield* Fiber.join(fiber))
        yield* TestClock.adjust("3 seconds")
      }
      assert.strictEqual(latest, "secondary")
    }).pipe(
      Effect.provide(fleet(members, {
        servers: { primary: { ...stdio, healthInterval: "1 minute" }, secondary: stdio },
        circuit: Circuit.circuitDefault,
        reconnect: RetryPolicy.reconnectDefault
      }))
    )
  })

  it.effect("when none is fit, a plan tries the least bad one though it is not the first", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      const program = Effect.flatMap(
        FallbackPolicy.CurrentSession,
        (session) => Effect.map(session.callTool("charge"), textOf)
      )
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

  it.effect("of one that was tried by a plan though it was not fit, and answered, is good again", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = refused
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      const program = Effect.flatMap(
        FallbackPolicy.CurrentSession,
        (session) => Effect.map(session.callTool("charge"), textOf)
      )
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

  it.effect("of all that are passed over is told with the latest failure of each", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(unauthorized)
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* Effect.flip(call())
      const failed = yield* Effect.flip(call())
      assert(failed._tag === "AllServersFailed")
      assert.deepStrictEqual(failed.errors.map(({ reason }) => reason._tag), ["AuthRequired", "AuthRequired"])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("what one owner is told", () => {
  const exited = new SessionError.ServerExited({
    exitCode: 1,
    signal: null,
    stderrTail: "the ledger of a",
    delivery: "NotSent"
  })

  it.effect("of servers that are passed over holds nothing of another one's processes", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(exited)
    return Effect.gen(function*() {
      for (let n = 0; n < 5; n++) yield* Effect.flip(call({ owner: "a" }))
      const failed = yield* Effect.flip(call({ owner: "b" }))
      assert.notInclude(JSON.stringify(failed), "the ledger of a")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("of a pool that is full holds nothing of another one's processes", () => {
    let isDown = true
    const script = Scripted.make({ connect: () => Effect.suspend(() => isDown ? Effect.fail(exited) : Effect.void) })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", max: 1 })
      const failing = yield* start(Effect.exit(pool.callTool("t", {}, { owner: "a" })))
      yield* settled(failing)
      isDown = false
      yield* pool.get({ owner: "c" })
      const waiting = yield* start(Effect.flip(pool.get({ owner: "b" })))
      yield* settled(waiting)
      assert.notInclude(JSON.stringify(yield* Fiber.join(waiting)), "the ledger of a")
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })
})

describe("circuits and policies", () => {
  it.effect("that were pardoned for an operation that never came to the server stay open", () => {
    let isLocked = false
    const script = Scripted.make({
      answer: () => Effect.fail(new SessionError.HttpFailed({ status: 500, delivery: "Rejected" }))
    })
    return Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("s", "t"))
      isLocked = true
      yield* Effect.flip(withFallback({ servers: ["s"] }, (session) => session.callTool("t")))
      isLocked = false
      const before = script.requests.length
      yield* Effect.flip(callTool("s", "t"))
      assert.strictEqual(script.requests.length, before)
    }).pipe(Effect.provide(Scripted.sessions(script, {
      circuit: Circuit.circuitDefault,
      retry: RetryPolicy.never,
      credentials: ({ owner }) =>
        Effect.suspend(() => isLocked ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({}))
    })))
  })

  for (
    const [what, policy] of [
      ["a number of signs of life that is none", { goodProbes: Number.NaN }],
      ["a negative number of them", { goodProbes: -1 }],
      ["a pause that is none", { probeInterval: Number.NaN }],
      ["a window that is none", { panicWindow: "soon" as "1 second" }]
    ] as const
  ) {
    it.effect(`are refused as a ConfigError with ${what}`, () =>
      Effect.gen(function*() {
        const layer = Scripted.sessions(Scripted.make({}), {
          fallback: { ...FallbackPolicy.fallbackDefault, ...policy }
        })
        const exit = yield* Effect.exit(Effect.provide(Effect.void, layer))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      }))
  }
})
