/**
 * Subscriptions: requested once for all subscribers, renewed when necessary, and ended with the last subscriber.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, type Notification, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber, Queue, Schedule, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { legacy, listed, modern } from "../../fixtures/capable.ts"
import { read } from "../../fixtures/read.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

describe("subscriptions to a resource", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("are requested once for all subscribers, and ended once when the last subscriber leaves", () => {
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

  it.effect("deliver updates of the resource and of resources below it, and no others", () => {
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

  it.effect("are renewed on the next connection before Listening is emitted", () => {
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

  it.effect("fail with Unsupported, without a request, when the server does not offer them", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(Stream.runDrain((yield* get).subscribe("a://b")))
      assert.strictEqual(reason._tag, "Unsupported")
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fail with the error of the server when it rejects them, without affecting other subscriptions", () => {
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

  it.effect("fail at the request timeout when the server does not answer", () => {
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

  it.effect("are retried by the retry policy when the server is busy", () => {
    let tries = 0
    const script = Scripted.make({
      ...options,
      answer: () =>
        Effect.suspend(() =>
          ++tries < 3
            ? Effect.fail(new SessionError.HttpFailed({ status: 503, delivery: "Rejected" }))
            : Effect.succeed({})
        )
    })
    return Effect.gen(function*() {
      const updates = yield* read((yield* get).subscribe("a://b"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "Listening", generation: 1 })
      assert.strictEqual(tries, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("do not wait for the response to another unsubscribe", () => {
    const script = Scripted.make({
      ...options,
      answer: ({ method }) => method === "resources/unsubscribe" ? Effect.never : Effect.succeed({})
    })
    return Effect.gen(function*() {
      const session = yield* get
      yield* Queue.take(yield* read(session.notifications))
      const scope = yield* Scope.make()
      yield* Queue.take(yield* Scope.provide(read(session.subscribe("a://")), scope))
      yield* Scope.close(scope, Exit.void)
      // This would not return before the clock advances if it waited for a response.
      yield* Queue.take(yield* read(session.subscribe("b://")))
      assert.deepStrictEqual(script.requests.toSorted(), [
        "1:resources/subscribe",
        "1:resources/subscribe",
        "1:resources/unsubscribe"
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("are ended on the server when the subscriber leaves before the server has confirmed them", () => {
    const release = Deferred.makeUnsafe<void>()
    const script = Scripted.make({ ...options, answer: () => Effect.as(Deferred.await(release), {}) })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(read((yield* get).subscribe("a://b")), scope)
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(script.requests, ["1:resources/subscribe", "1:resources/unsubscribe"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("begin after the pending unsubscribe of their resource is confirmed, or after 5 seconds", () => {
    const release = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      ...options,
      answer: ({ method, params }) =>
        method === "resources/subscribe"
          ? Effect.succeed({})
          : Effect.as(params?.uri === "slow://" ? Deferred.await(release) : Effect.never, {})
    })
    const count = () => script.requests.filter((request) => request === "1:resources/subscribe").length
    return Effect.gen(function*() {
      const session = yield* get
      yield* Queue.take(yield* read(session.notifications))
      for (const uri of ["slow://", "mute://"]) {
        const scope = yield* Scope.make()
        yield* Queue.take(yield* Scope.provide(read(session.subscribe(uri)), scope))
        yield* Scope.close(scope, Exit.void)
        yield* TestClock.adjust("1 second")
        const before = count()
        const updates = yield* read(session.subscribe(uri))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(count(), before)
        if (uri === "slow://") yield* Deferred.succeed(release, undefined)
        else yield* TestClock.adjust("3 seconds")
        yield* Queue.take(updates)
        assert.strictEqual(count(), before + 1)
      }
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("subscriptions to a modern server", () => {
  /** A server that records its subscriptions and the number of open ones; `end` ends them. */
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

  it.effect("use one request for all subscribed resources, request only offered kinds, and end with the last subscriber", () => {
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

  it.effect("are requested again, with backoff, when the server ends them", () => {
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

  it.effect("fail with Unsupported for a resource that the server does not confirm", () => {
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

  it.effect("are retried by the retry policy when `subscriptions/listen` fails as busy", () => {
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

  it.effect("fail with Unsupported again for a resource that the server did not confirm", () => {
    const { script } = listening(["no://"])
    return Effect.gen(function*() {
      const session = yield* get
      yield* Queue.take(yield* read(session.subscribe("a://")))
      for (let n = 0; n < 2; n++) {
        const { reason } = yield* Effect.flip(Stream.runDrain(session.subscribe("no://")))
        assert.strictEqual(reason._tag, "Unsupported")
      }
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("continue for the other resources when the server rejects one, which fails with the server's error", () => {
    const script = Scripted.make({
      info: modern,
      listen: (_, { resourceSubscriptions = [] }) =>
        resourceSubscriptions.includes("no://where")
          ? Effect.fail(
            new SessionError.ProtocolFailed({
              method: "subscriptions/listen",
              code: -32602,
              description: "no such resource",
              data: undefined
            })
          )
          : Effect.succeed({ resources: resourceSubscriptions, ended: Effect.never })
    })
    return Effect.gen(function*() {
      const session = yield* get
      const notifications = yield* read(session.notifications)
      yield* Queue.take(notifications)
      const good = yield* Effect.forkChild(Stream.runHead(session.subscribe("a://")), { startImmediately: true })
      const { reason } = yield* Effect.flip(Stream.runDrain(session.subscribe("no://where")))
      assert.strictEqual(reason._tag, "ProtocolFailed")
      yield* Fiber.join(good)
      script.notify("notifications/tools/list_changed")
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "ToolsChanged" })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("do not request resource updates that the server does not offer", () => {
    const asked: Array<Connection.ListenFilter> = []
    const script = Scripted.make({
      info: { ...modern, capabilities: { tools: { listChanged: true }, resources: {} } },
      listen: (_, filter) =>
        Effect.sync(() => {
          asked.push(filter)
          return { resources: [], ended: Effect.never }
        })
    })
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(Stream.runDrain((yield* get).subscribe("a://b")))
      assert.deepStrictEqual([reason._tag, asked], ["Unsupported", []])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("make all subscribers refresh when the server ends them before it confirms an extension", () => {
    const ends: Array<Deferred.Deferred<void>> = []
    const agreed = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      info: modern,
      listen: (_, { resourceSubscriptions = [] }) =>
        Effect.suspend(() => {
          const end = Deferred.makeUnsafe<void>()
          const isFirst = ends.push(end) === 1
          return Effect.as(isFirst ? Effect.void : Deferred.await(agreed), {
            resources: resourceSubscriptions,
            ended: Deferred.await(end)
          })
        })
    })
    return Effect.gen(function*() {
      const session = yield* get
      const notifications = yield* read(session.notifications)
      yield* Queue.take(notifications)
      const updates = yield* read(session.subscribe("a://"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(ends.length, 2)
      // Until the server confirms, no subscriber receives a notification.
      yield* Effect.forEach(ends.slice(0, 1), (end) => Deferred.succeed(end, undefined))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(agreed, undefined)
      yield* Queue.take(updates)
      assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("subscriptions under random subscribing, unsubscribing and connection loss", () => {
  /** A reproducible sequence of numbers from 0 to 1. */
  const numbers = (seed: number) => () => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return seed / 0x7fffffff
  }

  /** Advances the test clock in steps and runs all due work after each step. */
  const settle = Effect.repeat(TestClock.adjust("10 seconds"), { times: 120 })

  for (const era of ["legacy", "modern"] as const) {
    it.effect.each(Array.from({ length: 40 }, (_, seed) => seed + 1))(
      `converge to exactly the subscribed resources on a ${era} server: seed %d`,
      (seed) => {
        const random = numbers(seed * 7919)
        const below = (limit: number) => Math.floor(random() * limit)
        const server = {
          latest: 0,
          subscribed: new Map<number, Set<string>>(),
          open: new Array<ReadonlyArray<string>>()
        }
        const script: Scripted.Script = Scripted.make({
          info: { ...modern, era },
          connect: (n) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                server.latest = n
                server.subscribed.set(n, new Set())
              }),
              () => Effect.sync(() => server.subscribed.delete(n))
            ).pipe(Effect.delay(n === 1 ? 0 : below(3) * 100)),
          answer: ({ connection, method, params }) =>
            Effect.sync(() => {
              const uri = String(params?.uri)
              if (method === "resources/subscribe") server.subscribed.get(connection)?.add(uri)
              if (method === "resources/unsubscribe") server.subscribed.get(connection)?.delete(uri)
              return {}
            }).pipe(Effect.delay(below(4) * 50)),
          listen: (_, { resourceSubscriptions: resources = [] }) =>
            Effect.acquireRelease(
              Effect.sync(() => void server.open.push(resources)).pipe(Effect.delay(below(4) * 50)),
              () => Effect.sync(() => void server.open.splice(server.open.indexOf(resources), 1)),
              { interruptible: true }
            ).pipe(
              Effect.map(() => ({ resources, ended: below(10) < 3 ? Effect.sleep(below(20) * 100) : Effect.never }))
            )
        })
        const asked = () =>
          (era === "modern" ? server.open.at(-1) ?? [] : [...server.subscribed.get(server.latest) ?? []]).toSorted()
        return Effect.gen(function*() {
          const session = yield* get
          const wishes: Array<{
            readonly uri: string
            readonly scope: Scope.Closeable
            readonly updates: Queue.Dequeue<unknown, SessionError.SessionError>
          }> = []
          const leave = (from: number, count = Infinity) =>
            Effect.forEach(wishes.splice(from, count), ({ scope }) => Scope.close(scope, Exit.void))
          for (let step = 0; step < 60; step++) {
            const chance = random()
            if (chance < 0.45) {
              const uri = `r://${below(4)}`
              const scope = yield* Scope.make()
              // A subscription that fails while the server is down is repeated.
              const retried = Stream.retry(session.subscribe(uri), Schedule.spaced("1 second"))
              wishes.push({ uri, scope, updates: yield* Scope.provide(read(retried), scope) })
            } else if (chance < 0.8) yield* leave(below(wishes.length), 1)
            else if (chance < 0.88) yield* script.lose(gone)
            else if (chance < 0.95) yield* Effect.forkChild(Effect.exit(session.ping), { startImmediately: true })
            if (random() < 0.5) yield* TestClock.adjust(below(10) * 60)
          }
          yield* leave(3)
          yield* settle
          assert.deepStrictEqual(asked(), [...new Set(wishes.map(({ uri }) => uri))].toSorted())
          for (const { updates } of wishes) assert.isAbove((yield* Queue.takeAll(updates)).length, 0)
          for (const uri of new Set(wishes.map(({ uri }) => uri))) {
            script.notify("notifications/resources/updated", { uri })
          }
          for (const { updates, uri } of wishes) {
            assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "ResourceUpdated", uri })
          }
          yield* leave(0)
          yield* settle
          assert.deepStrictEqual(server.open, [])
          assert.deepStrictEqual(asked(), [])
          assert.isAtMost(script.open, 1)
        }).pipe(Effect.provide(Scripted.sessions(script)))
      }
    )
  }
})
