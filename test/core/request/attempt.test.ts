/**
 * Permits and places of requests: each is given back once, whatever ends the request, and in whatever moment its caller is interrupted.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, type ConfigError, RetryPolicy, type Session, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import * as RawServer from "../../fixtures/rawServer.ts"
import * as Scripted from "../../fixtures/scripted.ts"

type Failure = SessionError.SessionError | ConfigError.ConfigError

const layerOf = (server: RawServer.RawServer, config: object = {}) =>
  Sessions.layer({
    servers: { s: { ...RawServer.definition, maxInFlight: 1, maxInFlightTotal: 1, maxQueued: 1, ...config } },
    circuit: Circuit.never,
    retry: RetryPolicy.never
  }).pipe(Layer.provide(RawServer.transports({ s: server })))

/** Runs an effect in a fiber of its own up to its first wait or yield, and interrupts it there. */
const interruptAtYield = (effect: Effect.Effect<unknown, Failure, Sessions.Sessions>) =>
  Effect.gen(function*() {
    const fiber = Effect.runForkWith(yield* Effect.context<Sessions.Sessions>())(effect)
    fiber.interruptUnsafe()
    yield* Fiber.await(fiber)
  })

/** A fiber yields after 2048 operations, wherever it is then. */
const padded = <A, E, R>(operations: number, effect: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    Effect.gen(function*() {
      for (let n = 0; n < operations; n++) yield* Effect.sync(() => {})
    }),
    effect
  )

const pads = Array.from({ length: 140 }, (_, n) => 1910 + n)

const within = (call: (session: Session.Session) => Effect.Effect<unknown, Failure>) =>
  Effect.flatMap(Sessions.Sessions, ({ use }) => use("s", call))

describe("the permits of a request", () => {
  const calls = {
    "a direct call": Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t")),
    "a call on a session": within((session) => session.callTool("t")),
    "a call that cannot be encoded": Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t", { n: 1n })),
    "a call with progress": within((session) => session.callTool("t", {}, { onProgress: () => {} })),
    "a list": within((session) => session.listTools())
  }

  for (const [what, call] of Object.entries(calls)) {
    for (const isBusy of [false, true]) {
      const where = isBusy ? ", also while it waits for them" : ""
      it.effect(`are given back by ${what} that is interrupted at any yield of its fiber${where}`, () => {
        const server = RawServer.make()
        return Effect.gen(function*() {
          const { callTool, status } = yield* Sessions.Sessions
          yield* callTool("s", "warm")
          for (const pad of pads) {
            let free = () => {}
            server.onRequest = (arrival) => {
              if (arrival.tool === "hold") free = () => RawServer.empty(arrival)
              else arrival.answer({ content: [], tools: [] })
            }
            const holder = isBusy ? yield* start(callTool("s", "hold")) : undefined
            yield* interruptAtYield(padded(pad, call))
            free()
            if (holder !== undefined) yield* Fiber.join(holder)
            // Both the permit and the place in the queue are free again.
            const held = yield* start(callTool("s", "hold"))
            const queued = yield* start(callTool("s", "next"))
            free()
            yield* Fiber.join(held)
            yield* Fiber.join(queued)
            assert.strictEqual((yield* status("s")).inFlight, 0)
          }
        }).pipe(Effect.provide(layerOf(server)))
      })
    }
  }

  it.effect("are given back by a call that is answered and interrupted in the turn in which it is sent", () => {
    const server = RawServer.make()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "warm")
      for (const result of [{ content: [] }, { wrong: true }]) {
        let free = () => {}
        const fibers: Array<Fiber.Fiber<unknown, Failure>> = []
        server.onRequest = (arrival) => {
          if (arrival.tool === "hold") free = () => RawServer.empty(arrival)
          else arrival.answer(arrival.tool === "first" ? result : { content: [] })
          if (arrival.tool === "first") fibers[0]?.interruptUnsafe()
        }
        const held = yield* start(callTool("s", "hold"))
        const first = yield* start(callTool("s", "first"))
        fibers.push(first)
        free()
        yield* Fiber.join(held)
        yield* Fiber.await(first)
        server.onRequest = RawServer.empty
        yield* callTool("s", "next")
      }
    }).pipe(Effect.provide(layerOf(server)))
  })

  it.effect("go to the next waiter when a call is answered and interrupted in the turn in which it is sent", () => {
    const server = RawServer.make()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "warm")
      let free = () => {}
      const fibers: Array<Fiber.Fiber<unknown, Failure>> = []
      server.onRequest = (arrival) => {
        if (arrival.tool === "hold") {
          free = () => RawServer.empty(arrival)
          return
        }
        RawServer.empty(arrival)
        if (arrival.tool === "first") fibers[0]?.interruptUnsafe()
      }
      const held = yield* start(callTool("s", "hold"))
      fibers.push(yield* start(callTool("s", "first")))
      const second = yield* start(callTool("s", "second"))
      free()
      yield* Fiber.join(held)
      assert.deepStrictEqual((yield* Fiber.join(second)).content, [])
    }).pipe(Effect.provide(layerOf(server, { maxQueued: 2 })))
  })

  for (
    const [what, result] of [
      ["a getter", {
        get content() {
          throw new Error("lazy")
        }
      }],
      [
        "a proxy",
        new Proxy({}, {
          get() {
            throw new Error("no")
          }
        })
      ]
    ] as const
  ) {
    it.effect(`are given back, and the call fails with InvalidResult, when a result is ${what} that throws`, () => {
      const server = RawServer.make()
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("s", "warm")
        server.onRequest = ({ answer }) => answer(result)
        const error = yield* Effect.flip(callTool("s", "t"))
        assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "InvalidResult")
        server.onRequest = RawServer.empty
        yield* callTool("s", "t")
      }).pipe(Effect.provide(layerOf(server)))
    })
  }
})

describe("a connection that is retired", () => {
  it.effect("closes after a list that is interrupted at any yield of its fiber", () => {
    const server = RawServer.make()
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.get("s")
      server.onRequest = ({ answer }) => answer({ tools: [] })
      for (const [round, pad] of pads.entries()) {
        // The number of connections of one minute is limited.
        yield* TestClock.adjust("1 minute")
        yield* session.ping
        yield* interruptAtYield(padded(pad, session.listTools()))
        yield* sessions.restart("s")
        while (server.closed <= round) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.strictEqual(server.closed, pads.length)
    }).pipe(Effect.provide(layerOf(server)), Effect.scoped)
  })
})

describe("the total timeout", () => {
  const s = { transport: "stdio", command: "s", args: [], healthInterval: 0 } as const
  const layer = (script: Scripted.Script) =>
    Scripted.sessions(script, {
      servers: { s: { ...s, maxInFlight: 1, requestTimeout: "60 seconds", totalTimeout: "10 seconds" } }
    })

  it.effect("bounds the first attempt of a list", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("s"))
      const list = yield* start(Effect.flip(session.listTools()))
      yield* TestClock.adjust("10 seconds")
      const { reason } = yield* Fiber.join(list)
      assert.deepInclude(reason, { _tag: "RequestTimeout", timeout: 10_000, delivery: "Unknown" })
    }).pipe(Effect.provide(layer(script)), Effect.scoped)
  })

  for (const isWarm of [true, false]) {
    const where = isWarm ? "" : " through its first connect"
    it.effect(`ends a call that waited for a permit${where} as one that was not sent`, () => {
      const script = Scripted.make({
        answer: ({ params }) => params?.name === "a" ? Effect.never : Effect.succeed({ content: [] })
      })
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        if (isWarm) yield* callTool("s", "warm")
        const before = script.requests.length
        yield* start(Effect.exit(callTool("s", "a")))
        const waiting = yield* start(Effect.exit(callTool("s", "b")))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Effect.flip(yield* Fiber.join(waiting))
        assert.deepInclude(error._tag === "SessionError" ? error.reason : error, {
          _tag: "RequestTimeout",
          delivery: "NotSent"
        })
        assert.deepStrictEqual(script.requests.slice(before).filter((request) => request !== "1:ping"), [
          "1:tools/call:a"
        ])
      }).pipe(Effect.provide(layer(script)))
    })
  }

  it.effect("ends a read that may have run in an earlier attempt as one that may have run", () => {
    const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })
    const script = Scripted.make({ answer: () => Effect.fail(lost) })
    return Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("s"))
      const options = { retry: RetryPolicy.spaced({ retries: 5, delay: "1 minute" }) }
      const read = yield* start(Effect.exit(session.readResource("a:b", options)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Effect.flip(yield* Fiber.join(read))
      assert.deepInclude(error._tag === "SessionError" ? error.reason : error, {
        _tag: "RequestTimeout",
        delivery: "Unknown"
      })
    }).pipe(Effect.provide(layer(script)), Effect.scoped)
  })
})

describe("a timeout that is no ordinary number", () => {
  for (const timeout of [Number.NEGATIVE_INFINITY, "-Infinity", -1, 0] as const) {
    it.effect(`of ${timeout} ends the call at once, and gives its permit back`, () => {
      const server = RawServer.make()
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("s", "warm")
        server.onRequest = () => {}
        const call = yield* start(Effect.exit(callTool("s", "t", {}, { timeout })))
        yield* TestClock.adjust(1)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
        server.onRequest = RawServer.empty
        yield* callTool("s", "t")
      }).pipe(Effect.provide(layerOf(server)))
    })
  }

  for (const timeout of ["30s", "", null, true, "1e3 seconds", ".5 seconds", Number.NaN]) {
    it.effect(`of ${JSON.stringify(timeout)} fails with a ConfigError before anything is taken`, () => {
      const server = RawServer.make()
      return Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.get("s")
        const options = { timeout } as unknown as Session.CallToolOptions
        for (let n = 0; n < 3; n++) {
          const direct = yield* Effect.flip(sessions.callTool("s", "t", {}, options))
          const call = yield* Effect.flip(session.callTool("t", {}, options))
          const list = yield* Effect.flip(session.listTools(options))
          assert.deepStrictEqual([direct, call, list].map(({ _tag }) => _tag), Array(3).fill("ConfigError"))
        }
        assert.deepStrictEqual(server.calls, [])
        yield* session.callTool("t")
      }).pipe(Effect.provide(layerOf(server)), Effect.scoped)
    })
  }
})
