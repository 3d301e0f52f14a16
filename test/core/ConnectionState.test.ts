/**
 * The connection state machine: a pure function under any sequence of events, and the state changes that users observe.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, type ConnectionState, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber, Queue, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Machine from "../../packages/core/src/internal/connection/stateMachine.ts"
import { read } from "../fixtures/read.ts"
import * as Scripted from "../fixtures/scripted.ts"
import { sound } from "../fixtures/soundOptions.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

const error = new SessionError.SessionError({ server: "s", reason: gone })

const Step = Schema.Struct({
  tag: Schema.Literals([
    "Attempted",
    "Failed",
    "GaveUp",
    "Connected",
    "TimedOut",
    "Responded",
    "Lost",
    "Down",
    "Closing",
    "Closed"
  ]),
  generation: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
  pause: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 90_000 }))
})

const eventOf = ({ generation, tag }: typeof Step.Type, now: number): Machine.Event => {
  switch (tag) {
    case "Connected":
      return { _tag: tag, now }
    case "Failed":
      return { _tag: tag, error }
    case "TimedOut":
    case "Responded":
    case "Lost":
      return { _tag: tag, generation }
    case "Down":
      return { _tag: tag, retryAt: now + 1000, error }
    default:
      return { _tag: tag }
  }
}

const isLive = ({ state }: Machine.Machine) => Machine.isConnected(state)

describe("the connection state machine", () => {
  it.effect.prop(
    "keeps its invariants under any sequence of events",
    [Schema.Array(Step)],
    ([steps]) =>
      Effect.sync(() => {
        let machine = Machine.initial
        let now = 0
        for (const step of steps) {
          now += step.pause
          const before = machine
          const event = eventOf(step, now)
          machine = Machine.transition({ machine, event })
          // The generation increases by one, and only when a connection is established.
          assert.include([before.generation, before.generation + 1], machine.generation)
          if (machine.generation > before.generation) assert.strictEqual(event._tag, "Connected")
          // A live connection has the latest generation, and only an event of its own ends it.
          if (isLive(machine)) {
            assert.strictEqual("generation" in machine.state && machine.state.generation, machine.generation)
          }
          if (isLive(before) && !isLive(machine) && event._tag === "Lost") {
            assert.strictEqual(event.generation, before.generation)
          }
          if (isLive(before) && !isLive(machine)) {
            assert.include(["Lost", "Closing", "Closed"], event._tag)
          }
          // A closed machine stays closed.
          if (before.state._tag === "Closed") assert.strictEqual(machine.state._tag, "Closed")
          if (before.state._tag === "Draining") assert.include(["Draining", "Closed"], machine.state._tag)
          // The next start is at most one minute away.
          const startableAt = Machine.startableAt({ machine, now })
          assert.isAtLeast(startableAt, now)
          assert.isAtMost(startableAt, now + 60_000)
        }
      }),
    { arbitrary: { seed: 1 } }
  )

  it("allows five starts per minute, and the sixth one minute after the first", () => {
    let machine = Machine.initial
    for (const now of [0, 1000, 2000, 3000, 4000]) {
      assert.strictEqual(Machine.startableAt({ machine, now }), now)
      machine = Machine.transition({ machine, event: { _tag: "Attempted" } })
      machine = Machine.transition({ machine, event: { _tag: "Connected", now } })
      machine = Machine.transition({ machine, event: { _tag: "Lost", generation: machine.generation } })
    }
    assert.strictEqual(Machine.startableAt({ machine, now: 5000 }), 60_000)
    assert.strictEqual(Machine.startableAt({ machine, now: 60_000 }), 60_000)
  })
})

const tags = (phases: ReadonlyArray<ConnectionState.ConnectionState>) => phases.map(({ _tag }) => _tag)

describe("the state changes of a session", () => {
  it.effect("report connects, retries and the loss of the connection", () => {
    let failures = 2
    const script = Scripted.make({
      connect: (attempt) => attempt > 1 && failures-- > 0 ? Effect.fail(Scripted.refused) : Effect.void
    })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(get, scope)
      const phases = yield* read(session.stateChanges)
      assert.deepStrictEqual(yield* Queue.take(phases), { _tag: "Ready", generation: 1 })
      yield* script.lose(gone)
      const ping = yield* Effect.forkChild(session.ping, { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(ping)
      const seen = yield* Queue.takeN(phases, 7)
      assert.deepStrictEqual(tags(seen), [
        "Idle",
        "Connecting",
        "Backoff",
        "Connecting",
        "Backoff",
        "Connecting",
        "Ready"
      ])
      assert.deepInclude(seen.at(-2), { attempt: 3 })
      assert.deepInclude(seen.at(-1), { generation: 2 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("count the connect attempts that are made for subscribers only", () => {
    const script = Scripted.make({ connect: (attempt) => attempt === 1 ? Effect.void : Effect.fail(Scripted.refused) })
    return Effect.gen(function*() {
      const session = yield* get
      yield* Queue.take(yield* read(session.notifications))
      const phases = yield* read(session.stateChanges)
      yield* Queue.take(phases)
      yield* script.lose(gone)
      for (let second = 0; second < 20; second++) yield* TestClock.adjust("1 second")
      const seen = yield* Queue.takeN(phases, 7)
      assert.deepStrictEqual(seen.map((phase) => `${phase._tag} ${"attempt" in phase ? phase.attempt : ""}`), [
        "Idle ",
        "Connecting 1",
        "Backoff 1",
        "Connecting 2",
        "Backoff 2",
        "Connecting 3",
        "Backoff 3"
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("end with Draining and Closed when the session closes", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(sessions.get("s"), scope)
      const phases = yield* Effect.forkChild(Stream.runCollect(session.stateChanges), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(tags(yield* Fiber.join(phases)).slice(-2), ["Draining", "Closed"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("report Suspect after a request timeout, and Ready when the server answers the ping", () => {
    const heard = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      answer: ({ method }) => method === "ping" ? Effect.as(Deferred.await(heard), {}) : Effect.never
    })
    return Effect.gen(function*() {
      const session = yield* get
      const phases = yield* read(session.stateChanges)
      yield* Queue.take(phases)
      yield* Effect.forkChild(Effect.flip(session.callTool("slow")), { startImmediately: true })
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* Queue.take(phases), { _tag: "Suspect", generation: 1 })
      yield* Deferred.succeed(heard, undefined)
      assert.deepStrictEqual(yield* Queue.take(phases), { _tag: "Ready", generation: 1 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a server that exits after each start", () => {
  it.effect("is not started a sixth time before the minute is over", () => {
    const script: Scripted.Script = Scripted.make({
      answer: () => Effect.andThen(script.lose(gone), Effect.fail(gone))
    })
    return Effect.gen(function*() {
      const session = yield* get
      const call = Effect.map(Effect.flip(session.callTool("t")), ({ reason }) => reason)
      for (let n = 0; n < 5; n++) assert.strictEqual((yield* call)._tag, "OutcomeUnknown")
      for (let n = 0; n < 20; n++) {
        const reason = yield* call
        assert.deepInclude(reason, { _tag: "ServerDown", retryAt: 60_000, delivery: "NotSent" })
      }
      assert.strictEqual(script.connects.length, 5)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* call)._tag, "OutcomeUnknown")
      assert.strictEqual(script.connects.length, 6)
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })
})

describe("Sessions.restart", () => {
  it.effect("replaces the connection at the next use", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get
      yield* (yield* Sessions.Sessions).restart("s")
      yield* session.ping
      assert.strictEqual(yield* session.generation, 2)
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("the health probe", () => {
  const options = (healthInterval: string | number) => ({
    servers: { s: { transport: "stdio" as const, command: "s", args: [], healthInterval } },
    circuit: Circuit.never
  })

  it.effect("pings an idle server about once a minute, and a busy server never", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get
      for (let n = 0; n < 180; n++) yield* TestClock.adjust("10 seconds")
      const asked = script.requests.length
      assert.isAtLeast(asked, 22)
      assert.isAtMost(asked, 38)
      for (let n = 0; n < 60; n++) {
        yield* session.callTool("t")
        yield* TestClock.adjust("10 seconds")
      }
      assert.strictEqual(script.requests.filter((request) => request.endsWith("ping")).length, asked)
    }).pipe(Effect.provide(Scripted.sessions(script, options("60 seconds"))))
  })

  it.effect("replaces the connection to an unresponsive server before a call fails", () => {
    let isGone = false
    const script = Scripted.make({
      answer: () => Effect.suspend(() => isGone ? Effect.never : Effect.succeed({ content: [] }))
    })
    return Effect.gen(function*() {
      const session = yield* get
      isGone = true
      for (let n = 0; n < 10; n++) yield* TestClock.adjust("10 seconds")
      isGone = false
      yield* session.callTool("t")
      assert.strictEqual(yield* session.generation, 2)
      const { health: { errorCount, lastError } } = yield* (yield* Sessions.Sessions).status("s")
      assert.strictEqual(errorCount, 0)
      assert.strictEqual(lastError?.reason._tag, "TransportFailed")
    }).pipe(Effect.provide(Scripted.sessions(script, options("60 seconds"))))
  })

  it.effect("is disabled by a `healthInterval` of 0", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* get
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script, options(0))))
  })

  it.effect("accepts a JSON-RPC error as a response", () => {
    const script = Scripted.make({
      answer: ({ method }) =>
        Effect.fail(new SessionError.ProtocolFailed({ method, code: -32601, description: "no", data: undefined }))
    })
    return Effect.gen(function*() {
      const session = yield* get
      for (let n = 0; n < 10; n++) yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* session.generation, 1)
      assert.isTrue((yield* (yield* Sessions.Sessions).status("s")).health.isHealthy)
    }).pipe(Effect.provide(Scripted.sessions(script, options("60 seconds"))))
  })

  for (const status of [429, 503]) {
    it.effect(`accepts HTTP status ${status} as a response`, () => {
      const script = Scripted.make({
        answer: () => Effect.fail(new SessionError.HttpFailed({ status, delivery: "Rejected" }))
      })
      return Effect.gen(function*() {
        const session = yield* get
        for (let n = 0; n < 10; n++) yield* TestClock.adjust("1 minute")
        assert.isAbove(script.requests.length, 5)
        assert.strictEqual(yield* session.generation, 1)
        assert.strictEqual(script.connects.length, 1)
      }).pipe(Effect.provide(Scripted.sessions(script, options("60 seconds"))))
    })
  }

  it.effect("keeps the connection while another call receives progress", () => {
    const script = Scripted.make({
      answer: ({ params, report }) =>
        params?.name === "long"
          ? Effect.sync(() => report({ progress: 1 })).pipe(
            Effect.delay("1 second"),
            Effect.repeat({ times: 99 }),
            Effect.as({ content: [] })
          )
          : Effect.never
    })
    return Effect.gen(function*() {
      const session = yield* get
      const long = yield* Effect.forkChild(session.callTool("long", {}, { onProgress: () => {} }), {
        startImmediately: true
      })
      const short = yield* Effect.forkChild(
        Effect.flip(sound(session.callTool("short", {}, { timeout: "5 seconds" }))),
        {
          startImmediately: true
        }
      )
      for (let second = 0; second < 20; second++) yield* TestClock.adjust("1 second")
      // Connects if the connection was lost.
      yield* session.connect
      for (let second = 0; second < 90; second++) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(short)).reason._tag, "OutcomeUnknown")
      assert.include(script.requests, "1:ping")
      yield* Fiber.join(long)
      assert.deepStrictEqual([yield* session.generation, script.connects.length], [1, 1])
    }).pipe(Effect.provide(Scripted.sessions(script, options(0))))
  })
})

describe("Sessions.statusChanges", () => {
  it.effect("emits the current health and each change of it, also when the health becomes stale", () => {
    let isDown = false
    const script = Scripted.make({
      answer: () =>
        Effect.suspend(() =>
          isDown
            ? Effect.fail(new SessionError.HttpFailed({ status: 500, delivery: "Unknown" }))
            : Effect.succeed({ content: [] })
        )
    })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const changes = yield* read(Stream.map(sessions.statusChanges("s"), ({ health }) => health))
      const next = Effect.map(Queue.take(changes), ({ errorCount, isHealthy }) => [isHealthy, errorCount])
      assert.deepStrictEqual(yield* next, [false, 0])
      const session = yield* get
      assert.deepStrictEqual(yield* next, [true, 0])
      yield* session.callTool("t")
      isDown = true
      for (const count of [1, 2, 3]) {
        yield* Effect.flip(session.callTool("t"))
        assert.deepStrictEqual(yield* next, [true, count])
      }
      yield* Effect.flip(session.callTool("t"))
      assert.deepStrictEqual(yield* next, [false, 4])
      isDown = false
      yield* session.callTool("t")
      assert.deepStrictEqual(yield* next, [true, 0])
      yield* TestClock.adjust("6 minutes")
      assert.deepStrictEqual(yield* next, [false, 0])
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })
})

describe("connections with a `maxLifetime`", () => {
  const config = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0, maxLifetime: "30 minutes" }

  it.effect("do not expire at the same time when they were opened at the same time", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const owners = Array.from({ length: 1000 }, (_, n) => `owner ${n}`)
      yield* Effect.forEach(owners, (owner) => sessions.get("s", { owner }), { discard: true })
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(script.open, 1000)
      let most = 0
      while (script.open > 0) {
        const before = script.open
        yield* TestClock.adjust("1 second")
        most = Math.max(most, before - script.open)
      }
      // 1,000 connections expire over 45 seconds, on average 22 per second.
      assert.isBelow(most, 60)
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script, { servers: { s: config } })))
  })

  it.effect("finish their calls in flight, and are replaced at the next use", () => {
    const done = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      answer: ({ params }) => Effect.as(params?.name === "long" ? Deferred.await(done) : Effect.void, { content: [] })
    })
    const servers = { s: { ...config, requestTimeout: "2 hours", totalTimeout: "2 hours" } }
    return Effect.gen(function*() {
      const session = yield* get
      const long = yield* Effect.forkChild(session.callTool("long"), { startImmediately: true })
      yield* TestClock.adjust("31 minutes")
      yield* session.callTool("t")
      assert.strictEqual(yield* session.generation, 2)
      assert.strictEqual(script.open, 2)
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(long)
      while (script.open > 1) yield* Effect.yieldNow
    }).pipe(Effect.provide(Scripted.sessions(script, { servers })))
  })
})
