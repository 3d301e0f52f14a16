/**
 * Notifications of servers: delivery to subscribers, before and after a reconnect.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { legacy, listed } from "../../fixtures/capable.ts"
import { read } from "../../fixtures/read.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

describe("notifications", () => {
  it.effect("begin with Listening and include every message of the server, known or unknown", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const notifications = yield* read((yield* get).notifications)
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
      script.notify("notifications/message", { level: "warning", logger: "db", data: { slow: true } })
      script.notify("notifications/message", { level: "loud", data: 1 })
      script.notify("notifications/tools/list_changed")
      script.notify("notifications/resources/list_changed", {})
      script.notify("notifications/prompts/list_changed")
      script.notify("notifications/resources/updated", { uri: "a://b" })
      script.notify("notifications/resources/updated", {})
      script.notify("notifications/elicitation/complete", { elicitationId: "e1" })
      script.notify("notifications/acme/news", { n: 1 })
      assert.deepStrictEqual(yield* Queue.takeN(notifications, 9), [
        { _tag: "LogMessage", level: "warning", logger: "db", data: { slow: true } },
        { _tag: "Other", method: "notifications/message", params: { level: "loud", data: 1 } },
        { _tag: "ToolsChanged" },
        { _tag: "ResourcesChanged" },
        { _tag: "PromptsChanged" },
        { _tag: "ResourceUpdated", uri: "a://b" },
        { _tag: "Other", method: "notifications/resources/updated", params: {} },
        { _tag: "ElicitationCompleted", elicitationId: "e1" },
        { _tag: "Other", method: "notifications/acme/news", params: { n: 1 } }
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("continue with Listening after an automatic reconnect", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const notifications = yield* read((yield* get).notifications)
      yield* Queue.take(notifications)
      yield* script.lose(gone)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 2 })
      script.notify("notifications/tools/list_changed")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "ToolsChanged" })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("do not reconnect in a tight loop to a server that closes each connection", () => {
    const script: Scripted.Script = Scripted.make({
      connect: () => Effect.forkDetach(Effect.suspend(() => script.lose(gone)))
    })
    return Effect.gen(function*() {
      yield* read((yield* get).notifications)
      for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
      assert.isBelow(script.connects.length, 12)
      assert.isAbove(script.connects.length, 4)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("survive a long outage of the server, while new subscriptions fail", () => {
    let isDown = false
    const script = Scripted.make({
      connect: () => Effect.suspend(() => isDown ? Effect.fail(Scripted.refused) : Effect.void)
    })
    return Effect.gen(function*() {
      const session = yield* get
      const notifications = yield* read(session.notifications)
      yield* Queue.take(notifications)
      isDown = true
      yield* script.lose(gone)
      yield* TestClock.adjust("10 minutes")
      const late = yield* Effect.forkChild(Effect.flip(Stream.runDrain(session.notifications)), {
        startImmediately: true
      })
      yield* Effect.raceFirst(Fiber.await(late), Effect.forever(TestClock.adjust("10 seconds")))
      assert.strictEqual((yield* Fiber.join(late)).reason._tag, "ConnectionRefused")
      // Each round makes up to 4 attempts, and rounds are at most 2 minutes apart after a long outage.
      assert.isBelow(script.connects.length, 120)
      isDown = false
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 2 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("end with their session", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(get, scope)
      const notifications = yield* read(session.notifications)
      yield* Queue.take(notifications)
      yield* Scope.close(scope, Exit.void)
      const { reason } = yield* Effect.flip(Queue.take(notifications))
      assert.strictEqual(reason._tag, "SessionClosed")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keep the latest 256 messages for a slow subscriber without delaying the others", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get
      const numbers: Array<unknown> = []
      const release = yield* Deferred.make<void>()
      const done = yield* Deferred.make<void>()
      yield* session.notifications.pipe(
        Stream.tap((notification) => {
          if (notification._tag === "Other") numbers.push(notification.params?.n)
          return notification._tag === "Listening" ? Deferred.await(release) : Effect.void
        }),
        Stream.takeUntil((notification) => notification._tag === "Other" && notification.params?.n === 9999),
        Stream.runDrain,
        Effect.andThen(Deferred.succeed(done, undefined)),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* read(session.notifications)
      yield* Effect.yieldNow
      for (let n = 0; n < 10_000; n++) script.notify("notifications/flood", { n })
      yield* Deferred.succeed(release, undefined)
      yield* Deferred.await(done)
      assert.isAtMost(numbers.length, 257)
      assert.strictEqual(numbers.at(-1), 9999)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fail with SessionClosed after the layer has closed", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(Scripted.sessions(script), scope)
      const session = yield* Effect.provide(get, services)
      yield* Scope.close(scope, Exit.void)
      const { reason } = yield* Effect.flip(Stream.runDrain(session.notifications))
      assert.strictEqual(reason._tag, "SessionClosed")
    })
  })

  it.effect("begin at once on a live connection, however many connections were lost before", () => {
    const script: Scripted.Script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get
      yield* Queue.take(yield* read(session.notifications))
      // The server restarts every 51 seconds, before its connection counts as stable.
      for (let n = 0; n < 14; n++) {
        yield* script.lose(gone)
        yield* TestClock.adjust("1 second")
        yield* session.ping
        yield* TestClock.adjust("50 seconds")
      }
      yield* script.lose(gone)
      yield* session.ping
      const generation = yield* session.generation
      const began = yield* Clock.currentTimeMillis
      assert.deepStrictEqual(yield* Queue.take(yield* read(session.notifications)), { _tag: "Listening", generation })
      assert.strictEqual(yield* Clock.currentTimeMillis, began)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("reach a slow subscriber up to the loss of the connection and continue after the reconnect", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const session = yield* get
      const seen = yield* Queue.unbounded<unknown>()
      const release = yield* Deferred.make<void>()
      yield* session.notifications.pipe(
        Stream.runForEach((notification) =>
          Effect.andThen(
            Queue.offer(seen, notification._tag === "LogMessage" ? notification.data : notification._tag),
            Deferred.await(release)
          )
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      assert.strictEqual(yield* Queue.take(seen), "Listening")
      for (const data of [1, 2, 3]) script.notify("notifications/message", { level: "error", data })
      yield* script.lose(gone)
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.succeed(release, undefined)
      assert.deepStrictEqual(yield* Queue.takeN(seen, 4), [1, 2, 3, "Listening"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

it.effect("every subscription ends when the sessions close", () => {
  const script = Scripted.make({ info: { capabilities: legacy }, answer: () => Effect.succeed(listed) })
  return Effect.gen(function*() {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(Scripted.sessions(script, { retry: RetryPolicy.never }), scope)
    const session = yield* Effect.provide(get, services)
    const streams = [session.notifications, session.subscribe("a://b"), session.watchTools]
    const queues = yield* Effect.forEach(
      streams,
      (stream: Stream.Stream<unknown, SessionError.SessionError>) => read(stream)
    )
    for (const queue of queues) yield* Queue.take(queue)
    yield* Scope.close(scope, Exit.void)
    for (const queue of queues) {
      const { reason } = yield* Effect.flip(Effect.forever(Queue.take(queue)))
      assert.strictEqual(reason._tag, "SessionClosed")
    }
    assert.strictEqual(script.open, 0)
  }).pipe(Effect.scoped)
})
