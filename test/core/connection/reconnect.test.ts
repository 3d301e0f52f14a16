/**
 * Reconnect delays for a server that closes every connection, over nine minutes on the test clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Queue, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Attempt, type Backoff, judge } from "../../fixtures/backoffJudge.ts"
import { read } from "../../fixtures/read.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const watched = 540_000

/** The default policy with random jitter, and with constant jitter. */
const policy: Backoff = { first: 1000, factor: 1.6, last: 120_000, jitter: [0, 1] }
const exact: Backoff = { ...policy, jitter: [0.5, 0.5] }

const even = { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 }

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

/**
 * Runs a server for nine minutes that closes each connection: during the handshake, or one second after the handshake
 * if the attempt is good.
 */
const watch = Effect.fnUntraced(function*(options: {
  readonly isGood?: (attempt: number) => boolean
  readonly circuit?: Circuit.CircuitPolicy
  readonly keep?: "openAll" | "notifications"
}) {
  const { circuit = Circuit.never, isGood = () => false, keep = "openAll" } = options
  const script = Scripted.make({
    initialize: (attempt) => isGood(attempt) ? Effect.void : Effect.fail(gone)
  })
  yield* Effect.gen(function*() {
    const sessions = yield* Sessions.Sessions
    if (keep === "openAll") {
      const opened = sessions.openAll()
      yield* Effect.forkChild(Stream.runDrain(opened), { startImmediately: true })
    } else {
      const session = yield* sessions.get("s")
      const notifications = yield* read(session.notifications)
      assert.strictEqual((yield* Queue.take(notifications))._tag, "Listening")
    }
    for (let second = 0; second < watched / 1000; second++) {
      yield* TestClock.adjust("1 second")
      if (script.open > 0) yield* script.lose(gone)
    }
  }).pipe(
    Effect.scoped,
    Effect.provide(Scripted.sessions(script, { circuit, retry: RetryPolicy.never }))
  )
  return script.connects.map((at, index): Attempt => ({ at, isGood: isGood(index + 1) }))
})

/** The largest number of attempts within one minute. */
const mostInAMinute = (attempts: ReadonlyArray<Attempt>) =>
  Math.max(...attempts.map(({ at }) => attempts.filter((other) => other.at >= at && other.at < at + 60_000).length))

describe("reconnecting to a server that closes every connection", () => {
  it.effect("follows the delays of the policy to the millisecond without jitter", () =>
    Effect.gen(function*() {
      const attempts = yield* Effect.provideService(watch({}), Random.Random, even)
      assert.deepStrictEqual(judge({ attempts, backoff: exact, until: watched }), [])
      assert.strictEqual(attempts.length, 18)
    }))

  it.effect("stays within the delays of the policy with jitter", () =>
    Effect.gen(function*() {
      const attempts = yield* watch({})
      assert.deepStrictEqual(judge({ attempts, backoff: policy, until: watched }), [])
      assert.isAbove(attempts.length, 10)
    }))

  it.effect("resets the delays only after a successful handshake", () =>
    Effect.gen(function*() {
      const attempts = yield* Effect.provideService(
        watch({ isGood: (attempt) => attempt % 8 === 0 }),
        Random.Random,
        even
      )
      assert.deepStrictEqual(judge({ attempts, backoff: exact, until: watched }), [])
      assert.isAbove(attempts.filter(({ isGood }) => isGood).length, 5)
    }))

  it.effect("makes at most five attempts per minute when each handshake succeeds", () =>
    Effect.gen(function*() {
      const attempts = yield* watch({ isGood: () => true })
      assert.strictEqual(mostInAMinute(attempts), 5)
      assert.isAtLeast(attempts.length, 20)
    }))

  it.effect("probes an open circuit in its own time, and makes no attempt besides", () =>
    Effect.gen(function*() {
      const attempts = yield* Effect.provideService(watch({ circuit: Circuit.circuitDefault }), Random.Random, even)
      const gaps = attempts.slice(1).map(({ at }, index) => at - (attempts[index]?.at ?? 0))
      // The fourth attempt opens the circuit.
      assert.deepStrictEqual(gaps.slice(3), [
        900,
        900,
        2000,
        16_000,
        ...Array.from(gaps.slice(7), () => 60_000)
      ])
      assert.isAbove(gaps.length, 12)
    }))

  it.effect("uses the delays of the policy for notification subscribers too", () =>
    Effect.gen(function*() {
      const attempts = yield* Effect.provideService(
        watch({ keep: "notifications", isGood: (attempt) => attempt === 1 }),
        Random.Random,
        even
      )
      assert.deepStrictEqual(judge({ attempts, backoff: exact, until: watched }), [])
      assert.isAbove(attempts.length, 10)
    }))

  it.effect("counts the attempt in flight as the first attempt of a caller that joins it", () => {
    const script = Scripted.make({
      initialize: () => Effect.delay(Effect.fail(gone), "100 millis")
    })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const opened = sessions.openAll()
      yield* Effect.forkChild(Stream.runDrain(opened), { startImmediately: true })
      // openAll makes four attempts, at 0, 1.1, 2.2 and 3.3 seconds; the next one follows half a second later.
      yield* TestClock.adjust("3400 millis")
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(script.connects.length, 5)
      const call = yield* Effect.forkChild(Effect.flip(sessions.callTool("s", "t")), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(call)
      assert.deepStrictEqual(script.connects.slice(0, 8), [0, 1100, 2200, 3300, 3900, 5000, 6100, 7200])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.sessions(script, { circuit: Circuit.never })),
      Effect.provideService(Random.Random, even)
    )
  })

  it.effect("stops after AuthRequired, and follows the policy again after a restart", () => {
    let wants = true
    const script = Scripted.make({
      initialize: () => Effect.suspend(() => Effect.fail(wants ? new SessionError.AuthRequired({ status: 401 }) : gone))
    })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      yield* Stream.runDrain(sessions.openAll())
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(script.connects, [0])
      wants = false
      yield* sessions.restart("s")
      yield* TestClock.adjust("1300 millis")
      assert.deepStrictEqual(script.connects, [0, 3_600_000, 3_600_500, 3_601_300])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.sessions(script, { circuit: Circuit.never })),
      Effect.provideService(Random.Random, even)
    )
  })
})

describe("the backoff judge", () => {
  const bad = (at: number): Attempt => ({ at, isGood: false })

  it("reports attempts that are early, late or missing, and resets without a successful handshake", () => {
    for (
      const [attempts, count] of [
        [[0, 1000, 2600, 5160, 9256], 0],
        [[0, 1000, 2600, 4000, 9256], 2],
        [[0, 1000, 2000, 3000, 4000], 4],
        [[0, 1000, 2600, 9256, 13_352], 1],
        [[0, 1000], 1]
      ] as const
    ) {
      const wrong = judge({ attempts: attempts.map(bad), backoff: { ...policy, jitter: [1, 1] }, until: 13_352 })
      assert.strictEqual(wrong.length, count, JSON.stringify(attempts))
    }
  })
})

describe("reconnects after a server restart", () => {
  const owners = Array.from({ length: 200 }, (_, n) => `owner ${n}`)

  /** The largest number of connects within a period. */
  const peak = (connects: ReadonlyArray<number>, millis: number) =>
    Math.max(...connects.map((at) => connects.filter((other) => other >= at && other < at + millis).length))

  it.effect("spread over a second, and over longer periods while the server stays down", () => {
    let isAway = false
    const script = Scripted.make({
      connect: () => Effect.suspend(() => isAway ? Effect.fail(Scripted.refused) : Effect.void)
    })
    return Effect.gen(function*() {
      const { openAll } = yield* Sessions.Sessions
      yield* Effect.forEach(owners, (owner) => Stream.runDrain(openAll({ owner })), {
        concurrency: "unbounded"
      })
      assert.strictEqual(script.open, 200)
      isAway = true
      yield* script.loseAll(gone)
      const lostAt = script.connects.length
      yield* TestClock.adjust("30 seconds")
      isAway = false
      const tried = script.connects.slice(lostAt)
      // The first attempts spread over the second after the loss.
      assert.isAtMost(peak(tried, 100), 80)
      // Without delays, each of the 200 clients would have made about 30 attempts.
      assert.isAtMost(tried.length, 200 * 12)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(script.open, 200)
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("open one connection for all callers of a session, and stop while the circuit is open", () => {
    let isAway = false
    const script = Scripted.make({
      connect: () => Effect.suspend(() => isAway ? Effect.fail(Scripted.refused) : Effect.sleep("100 millis")),
      answer: () => Effect.delay(Effect.succeed({ content: [] }), "1 second")
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const call = (n: number) => Effect.result(callTool("s", `${n}`, {}, { idempotent: true }))
      const calls = Effect.forkChild(
        Effect.forEach(owners, (_, n) => call(n), { concurrency: "unbounded", discard: true }),
        { startImmediately: true }
      )
      const before = yield* calls
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(script.connects.length, 1)
      yield* script.lose(gone)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(before)
      const after = yield* calls
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(after)
      assert.strictEqual(script.connects.length, 2)
      isAway = true
      yield* script.lose(gone)
      for (let second = 0; second < 60; second++) {
        const fiber = yield* calls
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }
      // 12,000 calls in a minute cause four attempts, then one each after 0.9, 1.8, 3.8 and 19.8 seconds.
      assert.isAtMost(script.connects.length - 2, 8)
    }).pipe(
      Effect.provide(Scripted.sessions(script, { circuit: Circuit.circuitDefault, retry: RetryPolicy.never }))
    )
  })
})
