/**
 * Log messages of servers, and the log levels that are requested.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import { legacy } from "../../fixtures/capable.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

describe("server logging", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("requests the level, and requests it again on the next connection", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.setLogLevel("warning")
      yield* script.lose(gone)
      yield* session.ping
      assert.deepStrictEqual(script.requests, ["1:log:warning", "2:log:warning", "2:ping"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with Unsupported for a server without the logging capability", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip((yield* get).setLogLevel("debug"))
      assert.strictEqual(reason._tag, "Unsupported")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("requests the level of the handler on every connection, and delivers messages in order", () => {
    const script = Scripted.make(options)
    const seen: Array<string> = []
    const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
      logging: {
        level: "info",
        handle: ({ data, level }, { server }) =>
          Effect.delay(Effect.sync(() => void seen.push(`${server} ${level} ${String(data)}`)), "1 second")
      }
    })
    return Effect.gen(function*() {
      yield* get
      assert.deepStrictEqual(script.requests, ["1:log:info"])
      for (const data of [1, 2, 3]) script.notify("notifications/message", { level: "error", data })
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(seen, ["s error 1", "s error 2", "s error 3"])
    }).pipe(Effect.provide(Scripted.sessions(script).pipe(Layer.provide(handlers))))
  })

  it.effect("continues after the handler fails on a message", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const seen = yield* Queue.unbounded<unknown>()
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
        logging: {
          level: "info",
          handle: ({ data }) => data === 1 ? Effect.die(new Error("boom")) : Queue.offer(seen, data)
        }
      })
      yield* Effect.gen(function*() {
        yield* get
        for (const data of [1, 2, 3]) script.notify("notifications/message", { level: "error", data })
        assert.deepStrictEqual(yield* Queue.takeN(seen, 2), [2, 3])
      }).pipe(Effect.provide(Scripted.sessions(script).pipe(Layer.provide(handlers))))
    })
  })

  it.effect("handles the messages of each server in sequence, and does not delay other servers", () => {
    const script = Scripted.make(options)
    const now = new Map<string, number>()
    const most = new Map<string, number>()
    const add = (server: string, change: number) => {
      now.set(server, (now.get(server) ?? 0) + change)
      most.set(server, Math.max(most.get(server) ?? 0, now.get(server) ?? 0))
    }
    const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
      logging: {
        level: "info",
        handle: (_, { server }) =>
          Effect.acquireUseRelease(
            Effect.sync(() => add(server, 1)),
            () => Effect.never,
            () => Effect.sync(() => add(server, -1))
          )
      }
    })
    const definition = { transport: "stdio", command: "s", args: [], healthInterval: 0 } as const
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      for (const server of ["a", "b"]) {
        yield* sessions.get(server)
        for (const data of [1, 2]) script.notify("notifications/message", { level: "error", data })
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...most], [["a", 1], ["b", 1]])
    }).pipe(
      Effect.provide(
        Scripted.sessions(script, { servers: { a: definition, b: definition } }).pipe(Layer.provide(handlers))
      )
    )
  })

  it.effect("handles the messages that arrived before the session is closed, but does not wait for a handler that waits", () =>
    Effect.gen(function*() {
      const run = (handle: Effect.Effect<void>) => {
        const script = Scripted.make(options)
        let begun = 0
        const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
          logging: { level: "info", handle: () => Effect.andThen(Effect.sync(() => begun++), handle) }
        })
        return Effect.gen(function*() {
          yield* get
          for (let data = 1; data <= 100; data++) script.notify("notifications/message", { level: "info", data })
        }).pipe(
          Effect.scoped,
          Effect.provide(Scripted.sessions(script).pipe(Layer.provide(handlers))),
          Effect.map(() => begun)
        )
      }
      assert.strictEqual(yield* run(Effect.yieldNow), 100)
      assert.strictEqual(yield* run(Effect.never), 1)
    }))
})
