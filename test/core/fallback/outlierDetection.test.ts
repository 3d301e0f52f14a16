/**
 * Outlier detection: ejects a failing server, readmits it after successful probes, and keeps owners separate.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, type Credentials, FallbackPolicy, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Cause, Effect, Exit, Fiber, Option, Redacted, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  initial,
  isOutlier,
  make,
  type OutlierEvent,
  type OutlierState,
  probesToReadmit,
  transition
} from "../../../packages/core/src/internal/fallback/outlierDetection.ts"
import { start } from "../../fixtures/fibers.ts"
import { call, fleet, lost, refused, run, stdio, two, unavailable } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const unauthorized = new SessionError.AuthRequired({ status: 401 })

const failing = (reason: SessionError.Reason) => () => Effect.fail(reason)

const makeDetector = Effect.gen(function*() {
  return make({
    policy: FallbackPolicy.fallbackDefault,
    reconnect: Schedule.spaced("1 second"),
    scope: yield* Effect.scope,
    context: yield* Effect.context<never>(),
    onChange: () => {}
  })
})

/** Applies events, each a number of milliseconds after the one before. */
const after = (...events: ReadonlyArray<readonly [OutlierEvent, number]>): OutlierState => {
  let now = 0
  let state = initial
  for (const [event, pause] of events) {
    now += pause
    state = transition({ state, event, now })
  }
  return state
}

const eject = (readmittedFor: number) => [["ejected", readmittedFor], ["readmitted", 1000]] as const

describe("outlier detection, as a state machine", () => {
  it("finds an outlier after more than three failures within a minute", () => {
    const failures = [["failed", 0], ["failed", 20_000], ["failed", 20_000]] as const
    assert.isFalse(isOutlier(after(...failures)))
    assert.isTrue(isOutlier(after(...failures, ["failed", 19_999])))
    assert.isFalse(isOutlier(after(...failures, ["failed", 20_000])))
  })

  it("counts no failure from before a readmission", () => {
    const state = after(["failed", 0], ["failed", 0], ["failed", 0], ["ejected", 0], ["readmitted", 0], ["failed", 0])
    assert.deepStrictEqual([state.failedAt.length, state.isEjected], [1, false])
  })

  it("doubles the probes that readmit a server with each relapse, up to 16 times", () => {
    const probes = Array.from({ length: 7 }, (_, relapses) =>
      probesToReadmit({
        state: after(...Array.from({ length: relapses }, () => eject(1000)).flat(), ["ejected", 1000]),
        goodProbes: 3
      }))
    assert.deepStrictEqual(probes, [3, 6, 12, 24, 48, 48, 48])
  })

  it("forgets relapses once a server has stayed readmitted for five minutes", () => {
    const relapsed = [...eject(0), ...eject(1000), ...eject(1000)]
    const probesAfter = (pause: number) =>
      probesToReadmit({ state: after(...relapsed, ["ejected", pause]), goodProbes: 1 })
    assert.deepStrictEqual([probesAfter(299_999), probesAfter(300_000)], [8, 1])
  })

  it.prop(
    "keeps at most the failures of one minute and counts relapses only by ejections, in any order of events",
    [Schema.Array(Schema.Tuple([
      Schema.Literals(["failed", "ejected", "readmitted"]),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400_000 }))
    ]))],
    ([events]) => {
      let now = 0
      let state = initial
      for (const [event, pause] of events) {
        now += pause
        const before = state
        state = transition({ state, event, now })
        assert.isTrue(event !== "failed" || state.failedAt.every((at) => now - at < 60_000))
        assert.strictEqual(state.isEjected, event === "ejected" || (event === "failed" && before.isEjected))
        assert.isTrue(state.relapses >= 0 && state.relapses <= 4)
        assert.isTrue(state.relapses <= before.relapses + 1)
        if (event !== "ejected" || before.isEjected) assert.strictEqual(state.relapses, before.relapses)
      }
    },
    { arbitrary: { seed: 1 } }
  )

  it.effect("ignores failures that concern one owner or one session", () =>
    Effect.gen(function*() {
      const detector = yield* makeDetector
      const error = new SessionError.SessionError({ server: "s", reason: unauthorized })
      for (let n = 0; n < 10; n++) assert.isFalse(detector.recordFailure({ error, owner: "a", now: 0 }))
      assert.deepStrictEqual(detector.lastFailure(), { error, owner: "a" })
    }))

  it.effect("probes an ejected server until it is readmitted, and not longer", () =>
    Effect.gen(function*() {
      const detector = yield* makeDetector
      let probes = 0
      yield* detector.eject(Effect.sync(() => void probes++))
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual([detector.isEjected(), probes], [true, 2])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([detector.isEjected(), probes], [false, 3])
    }))

  it.effect("starts the count of successful probes again after a failed one", () =>
    Effect.gen(function*() {
      const detector = yield* makeDetector
      const reason = new SessionError.TransportClosed({ delivery: "Unknown" })
      const results = [true, true, false, true, true, false, true, true]
      const probe = Effect.suspend(() =>
        results.shift() === false ? Effect.fail(new SessionError.SessionError({ server: "s", reason })) : Effect.void
      )
      yield* detector.eject(probe)
      for (let n = 0; results.length > 0; n++) {
        assert.isTrue(detector.isEjected())
        yield* TestClock.adjust("1 second")
        assert.isBelow(n, 100)
      }
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(detector.isEjected())
    }))
})

describe("an ejected server", () => {
  it.effect("is skipped after more than three failures, and readmitted after three consecutive successful probes", () => {
    const members = two()
    members.primary.trouble.connect = refused
    return Effect.gen(function*() {
      const tries: Array<string> = []
      for (let n = 0; n < 6; n++) tries.push(yield* call())
      assert.deepStrictEqual(members.primary.script.connects.length, 4)
      assert.deepStrictEqual(new Set(tries), new Set(["secondary"]))
      // The first probe follows after 5 seconds, the others at the intervals of the policy.
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

  /** The server of one call per second, while the primary goes up and down every `period` seconds until `until`. */
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

  it.effect("receives traffic less and less often while it keeps flapping", () => {
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

  it.effect("costs an operation no time while its circuit is open", () => {
    const members = two()
    members.primary.trouble.answer = failing(unavailable)
    return Effect.gen(function*() {
      for (let n = 0; n < 50; n++) assert.strictEqual(yield* call(), "secondary")
      assert.strictEqual(members.primary.calls().length, 4)
    }).pipe(Effect.provide(fleet(members, { circuit: Circuit.circuitDefault })))
  })

  it.effect("is readmitted although its probes once had invalid credentials", () => {
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

  it.effect("is readmitted although a probe once died with a defect", () => {
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
    it.effect(`is probed also when requests outside of fallback have failed (by its ${circuit === Circuit.never ? "health" : "circuit"})`, () => {
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
})

describe("a server in a fallback list", () => {
  it.effect("is probed before use after five minutes without contact", () => {
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

  it.effect("stays fit for other owners when it rejects the credentials of one", () => {
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

  it.effect("stays fit for other owners when one owner fills its own queue", () => {
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

  it.effect("is ejected when it never answers, even if callers give up before the request times out", () => {
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

  it.effect("stays fit while it is starting", () => {
    const members = two()
    members.primary.trouble.connect = Effect.sleep("20 seconds")
    return Effect.gen(function*() {
      for (let n = 0; n < 6; n++) {
        const hasty = yield* start(run((session) => session.readResource("test:")))
        yield* TestClock.adjust("1500 millis")
        yield* Fiber.interrupt(hasty)
        yield* TestClock.adjust("1500 millis")
      }
      yield* TestClock.adjust("5 seconds")
      yield* run((session) => session.callTool("charge"))
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("AllServersFailed", () => {
  it.effect("holds the latest failure of each server that was not tried", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(unauthorized)
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* Effect.flip(call())
      const failed = yield* Effect.flip(call())
      assert(failed._tag === "AllServersFailed")
      assert.deepStrictEqual(failed.errors.map(({ reason }) => reason._tag), ["AuthRequired", "AuthRequired"])
    }).pipe(Effect.provide(fleet(members)))
  })

  const body = "the ledger of a"
  const exit = { exitCode: 1, signal: null, delivery: "NotSent" as const }
  for (
    const [what, reason] of [
      ["processes", new SessionError.ServerExited({ ...exit, stderrTail: body })],
      ["responses", new SessionError.HttpFailed({ status: 500, body, delivery: "NotSent" })]
    ] as const
  ) {
    it.effect(`shows an owner nothing of another owner's ${what}`, () => {
      const members = two()
      for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(reason)
      return Effect.gen(function*() {
        for (let n = 0; n < 5; n++) yield* Effect.flip(call({ owner: "a" }))
        for (const { trouble } of Object.values(members)) trouble.connect = undefined
        const failed = yield* Effect.flip(call({ owner: "b" }))
        assert(failed._tag === "AllServersFailed")
        assert.strictEqual(failed.errors.length, 2)
        assert.notInclude(JSON.stringify(failed), body)
        assert.notInclude(failed.errors.map(({ message }) => message).join(), body)
      }).pipe(Effect.provide(fleet(members)))
    })
  }
})

describe("a fallback policy", () => {
  for (
    const [what, policy] of [
      ["a number of probes that is not a number", { goodProbes: Number.NaN }],
      ["a negative number of probes", { goodProbes: -1 }],
      ["a probe interval that is not a number", { probeInterval: Number.NaN }],
      ["a panic window that is not a duration", { panicWindow: "soon" as "1 second" }]
    ] as const
  ) {
    it.effect(`fails with a ConfigError for ${what}`, () =>
      Effect.gen(function*() {
        const layer = Scripted.sessions(Scripted.make({}), {
          fallback: { ...FallbackPolicy.fallbackDefault, ...policy }
        })
        const exit = yield* Effect.exit(Effect.provide(Effect.void, layer))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      }))
  }
})
