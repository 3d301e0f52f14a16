/**
 * What servers say of their own accord: how it gets to those who listen, and how it goes on after a reconnect.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ClientHandlers,
  type Connection,
  type Notification,
  RetryPolicy,
  SessionError,
  Sessions
} from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { read } from "../fixtures/read.ts"
import * as Scripted from "../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const listed = { tools: [{ name: "t", inputSchema: { type: "object" as const } }] }

const legacy = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} }

const modern: Partial<Connection.ConnectionInfo> = {
  era: "modern",
  protocolVersion: "2026-07-28",
  capabilities: { tools: { listChanged: true }, resources: { subscribe: true } }
}

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

const lists = (script: Scripted.Script) => script.requests.filter((request) => request.endsWith("tools/list")).length

describe("notifications", () => {
  it.effect("begin with Listening and tell what the server says, known or not", () => {
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

  it.effect("go on with Listening on the next connection, which is made without anyone asking", () => {
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

  it.effect("do not connect in a tight loop to a server that hangs up at once", () => {
    const script: Scripted.Script = Scripted.make({
      connect: () => Effect.forkDetach(Effect.suspend(() => script.lose(gone)))
    })
    return Effect.gen(function*() {
      yield* read((yield* get).notifications)
      yield* TestClock.adjust("60 seconds")
      assert.isBelow(script.connects.length, 12)
      assert.isAbove(script.connects.length, 4)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("outlast a server that cannot be reached for long, while those that are new fail", () => {
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
      // 3 tries each time, no more than 2 minutes apart once it has been down for long.
      assert.isBelow(script.connects.length, 120)
      isDown = false
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 2 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("end with the session that they were taken from", () => {
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

  it.effect("keep the latest 256 for a slow reader, and cost the others nothing", () => {
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
})

describe("subscriptions to a resource", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("tell the server once for all who listen, and once when the last has left", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const session = yield* get
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      for (const scope of [first, second]) {
        const updates = yield* Scope.provide(read(session.subscribe("a://b")), scope)
        assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "Listening", generation: 1 })
      }
      assert.deepStrictEqual(script.requests, ["1:resources/subscribe"])
      yield* Scope.close(first, Exit.void)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(script.requests, ["1:resources/subscribe"])
      yield* Scope.close(second, Exit.void)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(script.requests, ["1:resources/subscribe", "1:resources/unsubscribe"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("tell of the resource and of those below it, and of no other", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const updates = yield* read((yield* get).subscribe("a://b/1"))
      yield* Queue.take(updates)
      for (const uri of ["a://b/10", "a://b", "a://b/1", "a://b/1/x", "a://b/1#y"]) {
        script.notify("notifications/resources/updated", { uri })
      }
      const uris = (yield* Queue.takeN(updates, 3)).map((update) => "uri" in update ? update.uri : "")
      assert.deepStrictEqual(uris, ["a://b/1", "a://b/1/x", "a://b/1#y"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("are made again on the next connection before that is called Listening", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const updates = yield* read((yield* get).subscribe("a://b"))
      yield* Queue.take(updates)
      yield* script.lose(gone)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "Listening", generation: 2 })
      assert.deepStrictEqual(script.requests, ["1:resources/subscribe", "2:resources/subscribe"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fail with Unsupported where the server does not offer them, without asking", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(Stream.runDrain((yield* get).subscribe("a://b")))
      assert.strictEqual(reason._tag, "Unsupported")
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that the server refuses fail with its answer, and leave the others alone", () => {
    const script = Scripted.make({
      ...options,
      answer: ({ method, params }) =>
        params?.uri === "no://where"
          ? Effect.fail(new SessionError.ProtocolFailed({ method, code: -32002, description: "no", data: undefined }))
          : Effect.succeed({})
    })
    return Effect.gen(function*() {
      const session = yield* get
      const updates = yield* read(session.subscribe("a://b"))
      yield* Queue.take(updates)
      const { reason } = yield* Effect.flip(Stream.runDrain(session.subscribe("no://where")))
      assert.strictEqual(reason._tag, "ProtocolFailed")
      script.notify("notifications/resources/updated", { uri: "a://b" })
      assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "ResourceUpdated", uri: "a://b" })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("of a server that does not answer fail by the time limit of requests", () => {
    const script = Scripted.make({ ...options, answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* get
      const failed = yield* Effect.forkChild(Effect.flip(Stream.runDrain(session.subscribe("a://b"))), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Fiber.join(failed)).reason._tag, "RequestTimeout")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a modern server", () => {
  /** Notes what it is asked to tell of and by how many at a time; its promises end when `end` says so. */
  const listening = (refuse: ReadonlyArray<string> = []) => {
    const asked: Array<Connection.ListenFilter> = []
    const ends: Array<Deferred.Deferred<void>> = []
    let open = 0
    const script = Scripted.make({
      info: modern,
      answer: () => Effect.succeed(listed),
      listen: (_, filter) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            asked.push(filter)
            open++
            const end = Deferred.makeUnsafe<void>()
            ends.push(end)
            const resources = (filter.resourceSubscriptions ?? []).filter((uri) => !refuse.includes(uri))
            return { resources, ended: Deferred.await(end) }
          }),
          () =>
            Effect.sync(() => {
              open--
            })
        )
    })
    const end = () => Effect.forEach(ends.slice(-1), (end) => Deferred.succeed(end, undefined))
    return { script, asked, open: () => open, end }
  }

  it.effect("is asked once for all that is wanted, for no more than it offers, and not any more once nothing is", () => {
    const { asked, open, script } = listening()
    return Effect.gen(function*() {
      const session = yield* get
      const scope = yield* Scope.make()
      for (
        const stream of [
          session.notifications,
          session.notifications,
          session.subscribe("b://"),
          session.subscribe("a://")
        ]
      ) {
        yield* Queue.take(
          yield* Scope.provide(read<Notification.Notification, SessionError.SessionError>(stream), scope)
        )
      }
      assert.deepStrictEqual(asked.at(-1), { toolsListChanged: true, resourceSubscriptions: ["a://", "b://"] })
      assert.strictEqual(asked.length, 3)
      assert.strictEqual(open(), 1)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(open(), 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that stops telling is asked again, with pauses", () => {
    const { asked, end, script } = listening()
    return Effect.gen(function*() {
      const notifications = yield* read((yield* get).notifications)
      yield* Queue.take(notifications)
      yield* end()
      yield* TestClock.adjust("400 millis")
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("600 millis")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
      for (let n = 0; n < 60; n++) {
        yield* end()
        yield* TestClock.adjust("1 second")
      }
      assert.isBelow(asked.length, 12)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that does not agree to a resource makes that one Unsupported", () => {
    const { script } = listening(["no://"])
    return Effect.gen(function*() {
      const session = yield* get
      const updates = yield* read(session.subscribe("a://"))
      yield* Queue.take(updates)
      const { reason } = yield* Effect.flip(Stream.runDrain(session.subscribe("no://")))
      assert.strictEqual(reason._tag, "Unsupported")
      script.notify("notifications/resources/updated", { uri: "a://" })
      assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "ResourceUpdated", uri: "a://" })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that is not up to it for a moment is asked again by the retry policy", () => {
    let tries = 0
    const script = Scripted.make({
      info: modern,
      listen: () =>
        Effect.suspend(() =>
          ++tries < 3
            ? Effect.fail(new SessionError.HttpFailed({ status: 503, delivery: "Unknown" }))
            : Effect.succeed({ resources: [], ended: Effect.never })
        )
    })
    return Effect.gen(function*() {
      const notifications = yield* read((yield* get).notifications)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Queue.take(notifications))._tag, "Listening")
      assert.strictEqual(tries, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a watched list", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("is emitted as it is and whenever it changes, to all who watch at the price of one", () => {
    const script = Scripted.make({ ...options, answer: () => Effect.succeed(listed) })
    return Effect.gen(function*() {
      const session = yield* get
      const watches = [yield* read(session.watchTools), yield* read(session.watchTools)]
      for (const watch of watches) assert.deepStrictEqual(yield* Queue.take(watch), listed.tools)
      assert.strictEqual(lists(script), 1)
      script.notify("notifications/tools/list_changed")
      for (const watch of watches) yield* Queue.take(watch)
      assert.strictEqual(lists(script), 2)
      script.notify("notifications/prompts/list_changed")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is fetched once more after a storm of changes, however many came", () => {
    const asked = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      ...options,
      answer: () =>
        Effect.andThen(Deferred.succeed(asked, undefined), Effect.delay(Effect.succeed(listed), "100 millis"))
    })
    return Effect.gen(function*() {
      yield* read((yield* get).watchTools)
      yield* Deferred.await(asked)
      for (let n = 0; n < 1000; n++) script.notify("notifications/tools/list_changed")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is fetched again after a reconnect", () => {
    const script = Scripted.make({ ...options, answer: () => Effect.succeed(listed) })
    return Effect.gen(function*() {
      const watch = yield* read((yield* get).watchTools)
      yield* Queue.take(watch)
      yield* script.lose(gone)
      yield* TestClock.adjust("1 second")
      yield* Queue.take(watch)
      assert.deepStrictEqual(script.requests, ["1:tools/list", "2:tools/list"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that failed can be watched again", () => {
    let isBroken = true
    const script = Scripted.make({
      ...options,
      answer: ({ method }) =>
        Effect.suspend(() =>
          isBroken
            ? Effect.fail(new SessionError.ProtocolFailed({ method, code: -1, description: "no", data: undefined }))
            : Effect.succeed(listed)
        )
    })
    return Effect.gen(function*() {
      const session = yield* get
      const { reason } = yield* Effect.flip(Stream.runDrain(session.watchTools))
      assert.strictEqual(reason._tag, "ProtocolFailed")
      isBroken = false
      const watch = yield* read(session.watchTools)
      assert.deepStrictEqual(yield* Queue.take(watch), listed.tools)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a list that the server says holds for a while", () => {
  const holding = (era: "legacy" | "modern") =>
    Scripted.make({ info: { ...modern, era }, answer: () => Effect.succeed({ ...listed, ttlMs: 60_000 }) })

  it.effect("is not asked for again until then, unless it changes, the caller insists, or the connection is another", () => {
    const script = holding("modern")
    return Effect.gen(function*() {
      const session = yield* get
      const list = session.listTools()
      yield* list
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual((yield* list).map(({ name }) => name), ["t"])
      assert.strictEqual(lists(script), 1)
      yield* TestClock.adjust("1 second")
      yield* list
      assert.strictEqual(lists(script), 2)
      script.notify("notifications/tools/list_changed")
      yield* list
      assert.strictEqual(lists(script), 3)
      yield* session.listTools({ refresh: true })
      assert.strictEqual(lists(script), 4)
      yield* script.lose(gone)
      yield* session.ping
      yield* list
      assert.strictEqual(lists(script), 5)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is asked for anew when it changes during a call, which goes on [F46]", () => {
    const finish = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      info: modern,
      answer: ({ method }) =>
        method === "tools/call"
          ? Effect.as(Deferred.await(finish), { content: [] })
          : Effect.succeed({ ...listed, ttlMs: 60_000 })
    })
    return Effect.gen(function*() {
      const session = yield* get
      const watched = yield* read(session.watchTools)
      yield* Queue.take(watched)
      yield* session.listTools()
      assert.strictEqual(lists(script), 1)
      const call = yield* Effect.forkChild(session.callTool("t"), { startImmediately: true })
      script.notify("notifications/tools/list_changed")
      yield* Queue.take(watched)
      yield* session.listTools()
      assert.strictEqual(lists(script), 2)
      assert.isUndefined(call.pollUnsafe())
      yield* Deferred.succeed(finish, undefined)
      assert.deepStrictEqual((yield* Fiber.join(call)).content, [])
      assert.strictEqual(yield* session.generation, 1)
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is not remembered where it changed while it was under way", () => {
    const script = Scripted.make({
      info: modern,
      answer: () => Effect.delay(Effect.succeed({ ...listed, ttlMs: 60_000 }), "1 second")
    })
    return Effect.gen(function*() {
      const session = yield* get
      const listing = yield* Effect.forkChild(session.listTools(), { startImmediately: true })
      script.notify("notifications/tools/list_changed")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(listing)
      yield* Effect.forkChild(session.listTools(), { startImmediately: true })
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is remembered for one owner and no other, even where the server would have it shared", () => {
    const script = Scripted.make({
      info: modern,
      answer: () => Effect.succeed({ ...listed, ttlMs: 60_000, cacheScope: "public" })
    })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      for (const owner of ["a", "b", "a"]) {
        const session = yield* sessions.get("s", { owner })
        yield* session.listTools()
      }
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is asked for each time in the legacy era, which knows no such promise", () => {
    const script = holding("legacy")
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.listTools()
      yield* session.listTools()
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("log levels", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("are asked for, and again on the next connection", () => {
    const script = Scripted.make(options)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.setLogLevel("warning")
      yield* script.lose(gone)
      yield* session.ping
      assert.deepStrictEqual(script.requests, ["1:log:warning", "2:log:warning", "2:ping"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("are Unsupported by a server that does not log", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip((yield* get).setLogLevel("debug"))
      assert.strictEqual(reason._tag, "Unsupported")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("of the logging handler are asked for on every connection, and it gets the messages in their order", () => {
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
})

it.effect("nothing that is listened to outlives the sessions", () => {
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
