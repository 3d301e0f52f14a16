/**
 * Monotonic time: nothing but what is shown changes when the time of day is set back by an hour.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ConfigError, RetryPolicy, SessionError, SessionPool, Sessions } from "@mcp-sessions/core"
import { Clock, type Duration, Effect, Fiber, Layer, Schedule, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../fixtures/scripted.ts"

const hour = 3_600_000

/** A test clock whose time of day can be set. */
class SettableClock implements Clock.Clock {
  offset = 0
  readonly #clock: TestClock.TestClock
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: TestClock.TestClock) {
    this.#clock = clock
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe() {
    return this.#clock.currentTimeMillisUnsafe() + this.offset
  }

  currentTimeNanosUnsafe() {
    return BigInt(this.currentTimeMillisUnsafe()) * 1_000_000n
  }

  monotonicTimeNanosUnsafe() {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  /** What `TestClock.adjust` uses. */
  adjust(duration: Duration.Input) {
    return this.#clock.adjust(duration)
  }

  sleep(duration: Duration.Duration) {
    return this.#clock.sleep(duration)
  }
}

/** Runs a test whose sessions and callers use a clock that can be set back. */
const settable = (
  script: Scripted.Script,
  options: Parameters<typeof Scripted.sessions>[1],
  test: (
    setBack: Effect.Effect<void>,
    clock: Clock.Clock
  ) => Effect.Effect<
    void,
    SessionError.SessionError | ConfigError.ConfigError | SessionPool.AcquireTimeout,
    Sessions.Sessions | Scope.Scope
  >
) =>
  Effect.gen(function*() {
    const clock = new SettableClock((yield* Clock.Clock) as TestClock.TestClock)
    const setBack = Effect.sync(() => {
      clock.offset = -hour
    })
    // The first hour is over, so that no time of day is negative.
    yield* TestClock.adjust("2 hours")
    yield* test(setBack, clock).pipe(
      Effect.provide(Layer.fresh(Scripted.sessions(script, options))),
      Effect.scoped,
      Effect.provideService(Clock.Clock, clock)
    )
  })

const down = new SessionError.HttpFailed({ status: 500, delivery: "Unknown" })

const adjust = TestClock.adjust

const outcome = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t")).pipe(
  Effect.match({
    onSuccess: () => "ok",
    onFailure: (error) => error._tag === "SessionError" ? error.reason : undefined
  })
)

describe("a time of day that is set back by an hour", () => {
  it.effect("does not keep a circuit open, and the time of the next attempt is shown by the new time of day", () => {
    const script = Scripted.make({
      answer: ({ number }) => number <= 4 ? Effect.fail(down) : Effect.succeed({ content: [] })
    })
    const circuit = { failures: 4, openFor: "5 seconds" } as const
    return settable(script, { circuit, retry: RetryPolicy.never }, (setBack, clock) =>
      Effect.gen(function*() {
        for (let n = 0; n < 4; n++) yield* outcome
        yield* setBack
        const retryAt = clock.currentTimeMillisUnsafe() + 5000
        assert.deepInclude(yield* outcome, { _tag: "ServerDown", retryAt })
        const { status } = yield* Sessions.Sessions
        assert.deepStrictEqual((yield* status("s")).circuit, { state: "open", retryAt })
        yield* adjust("5 seconds")
        assert.strictEqual(yield* outcome, "ok")
      }))
  })

  it.effect("does not lengthen the start limit", () => {
    const script = Scripted.make({})
    return settable(script, { retry: RetryPolicy.never }, (setBack, clock) =>
      Effect.gen(function*() {
        const { restart } = yield* Sessions.Sessions
        for (let n = 0; n < 5; n++) {
          assert.strictEqual(yield* outcome, "ok")
          yield* restart("s")
        }
        yield* setBack
        assert.deepInclude(yield* outcome, { _tag: "ServerDown", retryAt: clock.currentTimeMillisUnsafe() + 60_000 })
        yield* adjust("1 minute")
        assert.strictEqual(yield* outcome, "ok")
      }))
  })

  it.effect("does not lengthen a retry policy that is limited in time", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    const retry = Schedule.upTo(Schedule.spaced("1 second"), { duration: "5 seconds" }) as RetryPolicy.RetryPolicy
    return settable(script, { retry }, (setBack) =>
      Effect.gen(function*() {
        const call = yield* Effect.forkChild(outcome, { startImmediately: true })
        yield* adjust("2 seconds")
        yield* setBack
        yield* adjust("10 seconds")
        assert.isDefined(call.pollUnsafe())
        assert.isAtMost(script.connects.length, 7)
      }))
  })

  it.effect("does not keep an idle session or an idle session of a pool", () => {
    const script = Scripted.make({})
    const stdio = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }
    return settable(
      script,
      { servers: { s: { ...stdio, idleTimeToLive: "1 minute" } } },
      (setBack) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* outcome, "ok")
          const pool = yield* SessionPool.make({ server: "s", max: 1, idleTimeToLive: "1 minute" })
          yield* Effect.scoped(pool.get())
          assert.strictEqual(script.open, 2)
          yield* setBack
          yield* adjust("2 minutes")
          assert.strictEqual(script.open, 0)
        })
    )
  })

  it.effect("makes the health of a server stale after 5 minutes, and shows the last contact by the new time of day", () => {
    const script = Scripted.make({})
    return settable(script, {}, (setBack, clock) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* outcome, "ok")
        yield* setBack
        const { status } = yield* Sessions.Sessions
        assert.deepInclude((yield* status("s")).health, {
          isHealthy: true,
          lastChecked: clock.currentTimeMillisUnsafe()
        })
        yield* adjust("301 seconds")
        assert.isFalse((yield* status("s")).health.isHealthy)
      }))
  })

  it.effect("does not delay timeouts, queued requests and the rate limit", () => {
    const script = Scripted.make({
      answer: ({ params }) => params?.name === "t" ? Effect.succeed({ content: [] }) : Effect.never
    })
    const server = {
      transport: "stdio" as const,
      command: "s",
      args: [],
      healthInterval: 0,
      maxInFlight: 1,
      requestTimeout: "10 seconds",
      totalTimeout: "15 seconds"
    } as const
    const servers = { s: server, limited: { ...server, rateLimit: { limit: 1, window: "10 seconds" } } } as const
    return settable(script, { servers, retry: RetryPolicy.never }, (setBack) =>
      Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("limited", "t")
        const calls = [callTool("s", "hang"), callTool("s", "hang"), callTool("limited", "t")]
        const fibers = yield* Effect.forEach(calls, (call) => Effect.forkChild(call, { startImmediately: true }))
        yield* setBack
        yield* adjust("10 seconds")
        yield* adjust("5 seconds")
        for (const fiber of fibers) assert.isDefined(fiber.pollUnsafe())
        yield* Fiber.interruptAll(fibers)
      }))
  })
})
