/**
 * Managed connections at the moments at which they are lost, dropped, or die before they are ready.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, ServerConfig, SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as managedConnection from "../../../packages/core/src/internal/connection/managedConnection.ts"
import { Bulkhead } from "../../../packages/core/src/internal/server/bulkhead.ts"
import * as circuitBreaker from "../../../packages/core/src/internal/server/circuitBreaker.ts"
import * as rateLimit from "../../../packages/core/src/internal/server/rateLimit.ts"
import { ServerState } from "../../../packages/core/src/internal/server/serverState.ts"
import { telemetryOf } from "../../../packages/core/src/internal/telemetry/serverTelemetry.ts"
import * as timers from "../../../packages/core/src/internal/timers.ts"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const errorCount = Effect.flatMap(
  Sessions.Sessions,
  ({ status }) => Effect.map(status("s"), ({ health }) => health.errorCount)
)

const exited = new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "Unknown" })

describe("the loss of a connection", () => {
  for (const isRequestFirst of [true, false]) {
    const order = isRequestFirst
      ? "the requests report it before the channel does"
      : "the channel reports it before the requests do"
    it.effect(`counts once as a failure of the server, with five requests in flight, if ${order}`, () => {
      const gone = Deferred.makeUnsafe<never, SessionError.Reason>()
      const script = Scripted.make({ answer: () => Deferred.await(gone) })
      return Effect.gen(function*() {
        const session = yield* get
        const calls = yield* Effect.forEach([1, 2, 3, 4, 5], () => start(Effect.flip(session.callTool("charge"))))
        assert.strictEqual(script.requests.length, 5)
        const report = [Deferred.fail(gone, exited), script.lose(exited)]
        yield* Effect.all(isRequestFirst ? report : report.toReversed())
        for (const call of calls) assert.strictEqual((yield* Fiber.join(call)).reason._tag, "OutcomeUnknown")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* errorCount, 1)
        assert.strictEqual(script.open, 0)
        assert.deepStrictEqual(script.connects, [0])
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("counts again for the next connection", () => {
    const script = Scripted.make({ answer: () => Effect.fail(exited) })
    return Effect.gen(function*() {
      const session = yield* get
      for (let n = 0; n < 2; n++) {
        yield* Effect.flip(session.callTool("charge", {}, { retry: RetryPolicy.never }))
        // The connect in between was a success.
        assert.strictEqual(yield* errorCount, 1)
      }
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

/** A managed connection of its own, and the state of its server. */
const makeManaged = (script: Scripted.Script) =>
  Effect.gen(function*() {
    const [definition = assert.fail()] = yield* ServerConfig.decodeServers({ servers: { s: stdio } })
    const server = new ServerState({
      circuitBreaker: (yield* circuitBreaker.make(Circuit.never))("s", {
        onChange: () => {},
        candidates: () => [],
        fork: () => {}
      }),
      bulkhead: new Bulkhead(1),
      rateLimit: (yield* rateLimit.make)(definition),
      telemetry: telemetryOf("s", yield* Effect.context<never>())
    })
    const managed = yield* managedConnection.make({
      definition,
      server,
      transport: yield* Effect.provide(Transport.Transport, script.transport),
      peer: { owner: "o", server: "s", handlers: {} },
      timers: yield* timers.make,
      retry: RetryPolicy.never,
      reconnect: RetryPolicy.never,
      onCleanup: () => Effect.void,
      onNotification: () => {},
      isManual: false,
      logLevel: undefined,
      authorization: undefined
    })
    return { managed, server }
  })

describe("dropping a connection", () => {
  it.effect("closes it even if the fiber that drops it is interrupted by a listener of the state", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { managed, server } = yield* makeManaged(script)
      yield* managed.acquire
      const restart: Fiber.Fiber<void> = yield* Effect.forkChild(managed.restart)
      server.onChange(() => restart.interruptUnsafe())
      yield* Fiber.await(restart)
      yield* TestClock.adjust("1 second")
      assert.notStrictEqual(managed.state._tag, "Ready")
      assert.strictEqual(script.open, 0)
    })
  })
})

describe("a channel that dies during the handshake", () => {
  it.effect("fails the attempt with its reason, leaves nothing open, and is replaced by the retry policy", () => {
    const script: Scripted.Script = Scripted.make({
      initialize: (attempt) =>
        attempt === 1
          ? Effect.andThen(script.lose(unsent), Effect.fail(unsent))
          : Effect.void
    })
    const unsent = new SessionError.TransportClosed({ delivery: "NotSent" })
    return Effect.gen(function*() {
      const opening = yield* start(get)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([script.connects, script.open], [[0], 0])
      assert.strictEqual(yield* errorCount, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(opening)
      assert.deepStrictEqual([script.connects, script.open], [[0, 1000], 1])
      assert.strictEqual(yield* errorCount, 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is not used by anyone, although the handshake succeeded in the moment of its end", () => {
    const script: Scripted.Script = Scripted.make({
      initialize: (attempt) => attempt === 1 ? Effect.asVoid(script.lose(exited)) : Effect.void
    })
    return Effect.gen(function*() {
      const session = yield* get
      yield* TestClock.adjust("1 second")
      assert.strictEqual(script.open, 0)
      assert.strictEqual(yield* errorCount, 1)
      yield* session.callTool("echo")
      assert.deepStrictEqual(script.requests, ["2:tools/call:echo"])
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is replaced without a failure of the server if a manual handshake was not made yet", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { open } = yield* Sessions.Sessions
      const manual = yield* open("s", { handshake: "manual" })
      assert.deepStrictEqual([script.connects.length, script.open], [1, 1])
      yield* script.lose(exited)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(script.open, 0)
      assert.strictEqual(yield* errorCount, 0)
      const session = yield* manual.initialize
      yield* session.callTool("echo")
      assert.deepStrictEqual(script.requests, ["2:tools/call:echo"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
