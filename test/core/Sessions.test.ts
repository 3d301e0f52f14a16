import { assert, describe, it } from "@effect/vitest"
import { Health, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Context, Effect, Exit, Fiber, Layer, Schedule, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../fixtures/fibers.ts"
import * as Scripted from "../fixtures/scripted.ts"

const get = (name: string, options?: Sessions.OwnerOptions) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get(name, options))

/** A connection before its handshake. */
const open = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open("s", { handshake: "manual" }))

const tagOf = (error: unknown): string =>
  Schema.is(SessionError.SessionError)(error) ? error.reason._tag : (error as { readonly _tag: string })._tag

describe("Sessions, connecting", () => {
  it.effect("connects nothing before the first use", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* Sessions.Sessions
      assert.strictEqual(script.connects.length, 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("makes 4 attempts, 1 second apart, and then fails with the last error", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.flip(get("s")))
      assert.deepStrictEqual(script.connects, [0])
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(script.connects, [0])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(script.connects, [0, 1000])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(script.connects, [0, 1000, 2000, 3000])
      assert.strictEqual(tagOf(yield* Fiber.join(fiber)), "ConnectionRefused")
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("follows a custom retry schedule", () => {
    const script = Scripted.make({ connect: (attempt) => attempt < 5 ? Effect.fail(Scripted.refused) : Effect.void })
    const retry: RetryPolicy.RetryPolicy = Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 10 }))
    return Effect.gen(function*() {
      const fiber = yield* start(get("s"))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(script.connects, [0, 100, 300, 700, 1500])
    }).pipe(Effect.provide(Scripted.sessions(script, { retry })))
  })

  it.effect("does not retry a connect error that is not retryable", () => {
    const reason = new SessionError.SpawnFailed({ command: "s", code: "ENOENT" })
    const script = Scripted.make({ connect: () => Effect.fail(reason) })
    return Effect.gen(function*() {
      assert.strictEqual(tagOf(yield* Effect.flip(get("s"))), "SpawnFailed")
      assert.deepStrictEqual(script.connects, [0])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails a handshake without a response at the connect timeout", () => {
    const script = Scripted.make({ initialize: () => Effect.never })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.flip(get("s")))
      yield* TestClock.adjust("29999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(script.open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(tagOf(yield* Fiber.join(fiber)), "ConnectTimeout")
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("reconnects at the next use, and retries after the delay of the policy", () => {
    const script = Scripted.make({ connect: (attempt) => attempt === 2 ? Effect.fail(Scripted.refused) : Effect.void })
    return Effect.gen(function*() {
      const session = yield* get("s")
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(script.connects, [0])
      const call = yield* start(session.callTool("echo"))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(script.connects, [0, 3_600_000])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(call)
      assert.deepStrictEqual(script.connects, [0, 3_600_000, 3_601_000])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("makes one connect attempt per call under RetryPolicy.never", () => {
    const script = Scripted.make({ connect: (attempt) => attempt > 1 ? Effect.fail(Scripted.refused) : Effect.void })
    return Effect.gen(function*() {
      const session = yield* get("s")
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      for (const connects of [2, 3]) {
        assert.strictEqual(tagOf(yield* Effect.flip(session.callTool("echo"))), "ConnectionRefused")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(script.connects.length, connects)
      }
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("opens one connection for 1,000 concurrent first uses", () => {
    const script = Scripted.make({ connect: () => Effect.sleep("1 second") })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(
        Effect.forEach(Array.from({ length: 1000 }), () => callTool("s", "echo"), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.strictEqual(script.connects.length, 1)
      assert.strictEqual(script.requests.length, 1000)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keeps connecting for the other callers when one caller is interrupted, even the first", () => {
    const script = Scripted.make({ connect: () => Effect.sleep("1 second") })
    return Effect.gen(function*() {
      const first = yield* start(get("s"))
      const second = yield* start(get("s"))
      const third = yield* start(get("s"))
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(third)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)
      assert.deepStrictEqual(script.connects, [0])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("connects again after a failed connect", () => {
    const script = Scripted.make({ connect: (attempt) => attempt === 1 ? Effect.fail(Scripted.refused) : Effect.void })
    return Effect.gen(function*() {
      yield* Effect.flip(get("s"))
      yield* get("s")
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("does not delay a server while another server fails", () => {
    const script = Scripted.make({ connect: (attempt) => attempt === 1 ? Effect.never : Effect.void })
    const server = { transport: "stdio", command: "s", args: [] } as const
    return Effect.gen(function*() {
      yield* start(get("mute"))
      yield* get("good")
      assert.deepStrictEqual(script.connects, [0, 0])
    }).pipe(Effect.provide(Scripted.sessions(script, { servers: { mute: server, good: server } })))
  })

  it.effect("fails for unknown and disabled servers with the valid names", () => {
    const server = { transport: "stdio", command: "s", args: [] } as const
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const unknown = yield* Effect.flip(sessions.get("t"))
      assert.strictEqual(unknown.message, "the server \"t\" is not configured; the valid names are s and off")
      const off = yield* Effect.flip(sessions.get("off"))
      assert.strictEqual(off._tag === "ConfigError" ? off.problems[0]._tag : off._tag, "DisabledServer")
      const health = yield* Effect.flip(Effect.map(sessions.status("t"), ({ health }) => health))
      assert.strictEqual(health.problems[0]._tag, "UnknownServer")
      assert.deepStrictEqual(sessions.names, ["s", "off"])
    }).pipe(
      Effect.provide(
        Scripted.sessions(Scripted.make({}), { servers: { s: server, off: { ...server, disabled: true } } })
      )
    )
  })
})

describe("Sessions, sharing connections", () => {
  it.effect("opens one connection per owner", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* get("s")
      yield* get("s", { owner: "default" })
      assert.strictEqual(script.connects.length, 1)
      yield* get("s", { owner: "alice" })
      yield* get("s", { owner: "alice" })
      yield* get("s", { owner: "bob" })
      assert.strictEqual(script.connects.length, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("closes an unused connection after `idleTimeToLive`", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* Effect.scoped(get("s"))
      yield* TestClock.adjust("9 minutes")
      yield* Effect.scoped(get("s"))
      assert.strictEqual(script.connects.length, 1)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 0)
      yield* Effect.scoped(get("s"))
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keeps a connection open while it is in use", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get("s")
      yield* TestClock.adjust("1 hour")
      yield* session.callTool("echo")
      assert.strictEqual(script.connects.length, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("closes all servers in parallel with the layer, even if one of them fails to close", () => {
    const script = Scripted.make({
      connect: (attempt) =>
        Effect.addFinalizer(() => attempt === 2 ? Effect.die("stubborn") : Effect.sleep("1 second")) as Effect.Effect<
          void,
          never,
          Scope.Scope
        >
    })
    const server = { transport: "stdio", command: "s", args: [] } as const
    return Effect.gen(function*() {
      const closing = yield* start(
        Effect.exit(
          Effect.forEach(["a", "b", "c"], (name) => get(name), { discard: true }).pipe(
            Effect.scoped,
            Effect.provide(Scripted.sessions(script, { servers: { a: server, b: server, c: server } }))
          )
        )
      )
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(closing)
      assert.strictEqual(script.open, 0)
      assert.isTrue(Exit.isFailure(exit))
    })
  })

  it.effect("leaves nothing open when the layer closes during a connect", () => {
    const script = Scripted.make({ initialize: () => Effect.never })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const fiber = yield* start(
        Effect.exit(get("s").pipe(Effect.provide(Scripted.sessions(script)), Effect.scoped))
      )
      assert.strictEqual(script.open, 1)
      yield* Fiber.interrupt(fiber)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(script.open, 0)
    })
  })

  it.effect("fails with a typed error on a session whose scope has closed, even if its connection is still open", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* Effect.scoped(get("s"))
      assert.strictEqual(script.open, 1)
      assert.strictEqual(tagOf(yield* Effect.flip(session.callTool("echo"))), "SessionClosed")
      assert.strictEqual(tagOf(yield* Effect.flip(session.connect)), "SessionClosed")
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails callers that wait for a connection when the layer closes", () => {
    const script = Scripted.make({ connect: () => Effect.never })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Scripted.sessions(script), scope)
      const waiting = yield* start(Effect.flip(Effect.scoped(get("s"))).pipe(Effect.provideContext(context)))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(tagOf(yield* Fiber.join(waiting)), "SessionClosed")
    })
  })

  it.effect("stays usable after an interruption at any step", () =>
    Effect.gen(function*() {
      for (let steps = 1000; steps < 1060; steps++) {
        const script = Scripted.make({})
        yield* Effect.gen(function*() {
          const filler = Effect.forEach(Array.from({ length: steps }), () => Effect.void, { discard: true })
          const fiber = yield* start(Effect.scoped(Effect.andThen(filler, get("s"))))
          yield* Fiber.interrupt(fiber)
          const session = yield* get("s")
          yield* session.callTool("echo")
        }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
      }
    }))

  it.effect("connects in the context of the layer, not in that of the first caller", () => {
    const seen: Array<string> = []
    const Marker = Context.Reference<string>("test/Marker", { defaultValue: () => "layer" })
    const script = Scripted.make({
      connect: () => Effect.flatMap(Marker, (marker) => Effect.sync(() => void seen.push(marker)))
    })
    return Effect.gen(function*() {
      yield* get("s").pipe(Effect.provideService(Marker, "caller"))
      yield* open.pipe(Effect.provideService(Marker, "caller"))
      assert.deepStrictEqual(seen, ["layer", "layer"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with a typed error on a session whose layer has closed", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get("s").pipe(Effect.provide(Scripted.sessions(script)), Effect.scoped)
      assert.strictEqual(tagOf(yield* Effect.flip(session.callTool("echo"))), "SessionClosed")
      assert.strictEqual(script.connects.length, 1)
    })
  })
})

describe("a manual handshake", () => {
  it.effect("turns an uninitialized session into a session", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { initialize, server } = yield* open
      assert.strictEqual(server, "s")
      assert.strictEqual(script.open, 1)
      assert.deepStrictEqual(script.requests, [])
      const session = yield* initialize
      assert.strictEqual((yield* session.connect).protocolVersion, "2025-11-25")
      yield* session.callTool("echo")
      assert.strictEqual(script.connects.length, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("runs once for any number of callers", () => {
    let handshakes = 0
    const script = Scripted.make({ initialize: () => Effect.delay(Effect.sync(() => void handshakes++), "1 second") })
    return Effect.gen(function*() {
      const { initialize } = yield* open
      const first = yield* start(initialize)
      const second = yield* start(initialize)
      yield* TestClock.adjust("1 second")
      yield* (yield* Fiber.join(first)).callTool("echo")
      yield* (yield* Fiber.join(second)).callTool("echo")
      yield* initialize
      assert.strictEqual(handshakes, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("uses a connection that is not shared and closes with its scope", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* get("s")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* open
        yield* open
        assert.strictEqual(script.open, 3)
      }))
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("can be repeated after it failed", () => {
    const reason = new SessionError.HandshakeFailed({ description: "not today" })
    const script = Scripted.make({ initialize: (attempt) => attempt === 1 ? Effect.fail(reason) : Effect.void })
    return Effect.gen(function*() {
      const { initialize } = yield* open
      assert.strictEqual(tagOf(yield* Effect.flip(initialize)), "HandshakeFailed")
      assert.strictEqual(script.open, 0)
      const session = yield* initialize
      yield* session.callTool("echo")
      assert.strictEqual(yield* session.generation, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("can be repeated after the connect failed", () => {
    const script = Scripted.make({
      connect: (attempt) => attempt === 2 ? Effect.fail(Scripted.refused) : Effect.void
    })
    return Effect.gen(function*() {
      const { initialize } = yield* open
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      assert.strictEqual(tagOf(yield* Effect.flip(initialize)), "ConnectionRefused")
      yield* initialize
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("runs automatically when the connection is replaced later", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { initialize } = yield* open
      const session = yield* initialize
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      yield* session.callTool("echo")
      assert.strictEqual(yield* session.generation, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("the health of a server", () => {
  const healthOf = (name: string) =>
    Effect.flatMap(Sessions.Sessions, (sessions) => Effect.map(sessions.status(name), ({ health }) => health))

  it.effect("is unhealthy before the first contact", () =>
    Effect.gen(function*() {
      const health = yield* healthOf("s")
      assert.deepStrictEqual(health, { ...Health.unknown, isHealthy: false })
    }).pipe(Effect.provide(Scripted.sessions(Scripted.make({})))))

  it.effect("becomes unhealthy at the fourth consecutive failed request and healthy at the first response", () => {
    let works = false
    const reset = new SessionError.TransportFailed({ description: "reset", delivery: "Unknown" })
    const script = Scripted.make({
      answer: () => Effect.suspend(() => works ? Effect.succeed({ content: [] }) : Effect.fail(reset))
    })
    return Effect.gen(function*() {
      const session = yield* get("s")
      for (const errorCount of [1, 2, 3]) {
        yield* Effect.flip(session.callTool("t"))
        assert.deepInclude(yield* healthOf("s"), { errorCount, isHealthy: true })
      }
      yield* Effect.flip(session.callTool("t"))
      assert.deepInclude(yield* healthOf("s"), { errorCount: 4, isHealthy: false, lastChecked: 0 })
      works = true
      yield* session.callTool("t")
      assert.deepInclude(yield* healthOf("s"), { errorCount: 0, isHealthy: true })
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("becomes unhealthy at the first failed connect and healthy at the first successful connect", () => {
    let works = false
    const script = Scripted.make({ connect: () => works ? Effect.void : Effect.fail(Scripted.refused) })
    return Effect.gen(function*() {
      yield* Effect.flip(get("s"))
      assert.deepInclude(yield* healthOf("s"), { errorCount: 1, isConnectFailing: true, isHealthy: false })
      works = true
      yield* get("s")
      const health = yield* healthOf("s")
      assert.deepInclude(health, { errorCount: 0, isConnectFailing: false, isHealthy: true })
      assert.strictEqual(health.lastError?.reason._tag, "ConnectionRefused")
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never })))
  })

  it.effect("counts the loss of a connection once, however many calls were in flight", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* get("s")
      const exited = new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "Unknown" })
      const losing = Scripted.make({ answer: () => Effect.fail(exited) })
      yield* Effect.gen(function*() {
        const session = yield* get("s")
        const call = Effect.flip(session.callTool("charge"))
        yield* Effect.all([call, call, call, call, call], { concurrency: "unbounded" })
        assert.strictEqual((yield* healthOf("s")).errorCount, 1)
      }).pipe(Effect.provide(Scripted.sessions(losing)))
      assert.strictEqual(session.server, "s")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("ignores the errors of tools", () => {
    const reason = new SessionError.ProtocolFailed({ method: "tools/call", code: -32602, description: "no" })
    const script = Scripted.make({ answer: () => Effect.fail(reason) })
    return Effect.gen(function*() {
      const session = yield* get("s")
      for (let i = 0; i < 10; i++) yield* Effect.flip(session.callTool("nosuch"))
      assert.deepInclude(yield* healthOf("s"), { errorCount: 0, isHealthy: true, lastError: undefined })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("becomes stale after 5 minutes without contact", () =>
    Effect.gen(function*() {
      yield* get("s")
      yield* TestClock.adjust("5 minutes")
      assert.isTrue((yield* healthOf("s")).isHealthy)
      yield* TestClock.adjust("1 millis")
      assert.isFalse((yield* healthOf("s")).isHealthy)
    }).pipe(Effect.provide(Scripted.sessions(Scripted.make({})))))
})
