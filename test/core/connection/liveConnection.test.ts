/**
 * Connections that break their contract: every request on them ends all the same, and frees what it held.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Circuit,
  type ConfigError,
  type Connection,
  RetryPolicy,
  type SessionError,
  Sessions,
  Transport
} from "@mcp-sessions/core"
import { Cause, Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { start } from "../../fixtures/fibers.ts"
import { stdio } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const broken = new Error("broken")

/** Sessions of a server `s` that takes one request at a time, with parts of the connection replaced; and what they log. */
const make = (
  script: Scripted.Script,
  replace: (connection: Connection.Connection) => Partial<Connection.Connection>
) => {
  const logs: Array<unknown> = []
  const transport = Layer.effect(
    Transport.Transport,
    Effect.map(Transport.Transport, ({ connect }) => ({
      connect: Effect.map(connect, (connection) => ({ ...connection, ...replace(connection) }))
    }))
  ).pipe(Layer.provide(script.transport))
  const layer = Sessions.layer({
    servers: { s: { ...stdio, maxInFlight: 1, healthInterval: 0 } },
    circuit: Circuit.never,
    retry: RetryPolicy.never
  }).pipe(
    Layer.provide(Layer.succeed(Transport.Transports, { transport: () => transport })),
    Layer.provide(Logger.layer([Logger.make(({ message }) => {
      logs.push(message)
    })]))
  )
  return { layer, logs }
}

describe("a connection that throws while it sends", () => {
  for (const kind of ["a session", "a direct call"] as const) {
    it.effect(`fails the request of ${kind} with the defect, and frees its permit`, () => {
      let isBroken = false
      const script = Scripted.make({})
      const { layer } = make(script, ({ send }) => ({
        send: (request) => {
          if (isBroken) throw broken
          send(request)
        }
      }))
      return Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.get("s")
        const call: Effect.Effect<unknown, SessionError.SessionError | ConfigError.ConfigError> = kind === "a session"
          ? session.callTool("charge")
          : sessions.callTool("s", "charge")
        yield* call
        isBroken = true
        for (let n = 0; n < 3; n++) {
          const exit = yield* Effect.exit(call)
          assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === broken)
        }
        isBroken = false
        yield* call
        assert.deepInclude(yield* sessions.status("s"), { inFlight: 0 })
        assert.strictEqual(script.requests.length, 2)
      }).pipe(Effect.provide(layer))
    })
  }
})

describe("a connection that throws while it cancels", () => {
  it.effect("leaves the timeouts of this request and of all others at work, and logs the defect", () => {
    const script = Scripted.make({ answer: ({ method }) => method === "ping" ? Effect.succeed({}) : Effect.never })
    const { layer, logs } = make(script, () => ({
      cancel: () => {
        throw broken
      }
    }))
    return Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
      for (const count of [1, 2]) {
        const call = yield* start(Effect.flip(session.readResource("test://one")))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(call)).reason._tag, "RequestTimeout")
        // The defect is logged in the background.
        yield* Effect.yieldNow
        assert.strictEqual(logs.length, count)
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not keep the caller from leaving", () => {
    const script = Scripted.make({
      answer: ({ number }) => number === 1 ? Effect.never : Effect.succeed({ content: [] })
    })
    const { layer, logs } = make(script, () => ({
      cancel: () => {
        throw broken
      }
    }))
    return Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
      const call = yield* start(session.callTool("charge"))
      yield* Fiber.interrupt(call)
      yield* session.callTool("charge")
      assert.strictEqual(logs.length, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("a connection that never ends its requests", () => {
  it.effect("is closed with the sessions although it is retired, and its requests end then", () => {
    let closed = 0
    const script = Scripted.make({
      connect: () =>
        Effect.addFinalizer(() =>
          Effect.sync(() => {
            closed++
          })
        ),
      answer: () => Effect.never
    })
    const { layer } = make(script, () => ({}))
    return Effect.gen(function*() {
      const calls = yield* Effect.gen(function*() {
        const { get, restart } = yield* Sessions.Sessions
        const session = yield* get("s")
        const old = yield* Effect.forkDetach(Effect.flip(session.callTool("charge")), { startImmediately: true })
        yield* restart("s")
        assert.strictEqual(closed, 0)
        return [old]
      }).pipe(Effect.provide(layer))
      assert.strictEqual(closed, 1)
      for (const call of calls) {
        const { reason } = yield* Fiber.join(call)
        assert.deepInclude(reason, { _tag: "OutcomeUnknown", delivery: "Unknown" })
      }
    })
  })
})
