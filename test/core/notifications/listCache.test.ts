/**
 * Lists of servers: watched for changes, and cached while they are valid.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError, Sessions } from "@mcp-sessions/core"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { legacy, listed, modern } from "../../fixtures/capable.ts"
import { read } from "../../fixtures/read.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

const lists = (script: Scripted.Script) => script.requests.filter((request) => request.endsWith("tools/list")).length

describe("a watched list", () => {
  const options = { info: { capabilities: legacy } }

  it.effect("is emitted at once and after each change, with one fetch for all watchers", () => {
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

  it.effect("is fetched once more after a burst of changes", () => {
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

  it.effect("can be watched again after it failed", () => {
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

  it.effect("survives a server restart for watchers that have received it", () => {
    let isDown = false
    const script = Scripted.make({
      ...options,
      connect: () => Effect.suspend(() => isDown ? Effect.fail(Scripted.refused) : Effect.void),
      answer: () => Effect.succeed(listed)
    })
    return Effect.gen(function*() {
      const watch = yield* read((yield* get).watchTools)
      yield* Queue.take(watch)
      isDown = true
      yield* script.lose(gone)
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      isDown = false
      for (let second = 0; second < 30; second++) yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.take(watch), listed.tools)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is fetched in the context of the layer, not in that of the first watcher", () => {
    const Who = Context.Reference<string>("Who", { defaultValue: () => "nobody" })
    const seen = new Set<string>()
    const script = Scripted.make({ ...options, answer: () => Effect.map(Who, (who) => (seen.add(who), listed)) })
    return Effect.gen(function*() {
      const session = yield* get
      const scope = yield* Scope.make()
      yield* Queue.take(yield* Scope.provide(read(Stream.provideService(session.watchTools, Who, "Alice")), scope))
      const watch = yield* read(Stream.provideService(session.watchTools, Who, "Bob"))
      yield* Queue.take(watch)
      yield* Scope.close(scope, Exit.void)
      script.notify("notifications/tools/list_changed")
      yield* Queue.take(watch)
      assert.deepStrictEqual([...seen], ["nobody"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a cached list", () => {
  const holding = (era: "legacy" | "modern") =>
    Scripted.make({ info: { ...modern, era }, answer: () => Effect.succeed({ ...listed, ttlMs: 60_000 }) })

  it.effect("is fetched again only when it expires, it changes, the caller refreshes it, or the connection is replaced", () => {
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

  it.effect("is fetched again when it changes during a call, and the call continues", () => {
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

  it.effect("is not stored when it changes during its fetch", () => {
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

  it.effect("is stored per owner, even if the server allows sharing", () => {
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

  it.effect("does not exist in the legacy era, which fetches the list each time", () => {
    const script = holding("legacy")
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.listTools()
      yield* session.listTools()
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is dropped when its connection is lost", () => {
    const script = holding("modern")
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.listTools()
      yield* script.lose(gone)
      yield* session.listTools()
      assert.strictEqual(lists(script), 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is dropped when a refreshed list is not cacheable", () => {
    let version = 0
    const script = Scripted.make({
      info: modern,
      answer: () =>
        Effect.sync(() => ({
          tools: [{ name: String(++version), inputSchema: { type: "object" } }],
          ttlMs: version === 1 ? 60_000 : 0
        }))
    })
    return Effect.gen(function*() {
      const session = yield* get
      const names = []
      for (const refresh of [false, true, false]) names.push((yield* session.listTools({ refresh }))[0]?.name)
      assert.deepStrictEqual(names, ["1", "2", "3"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a list with malformed items", () => {
  const kinds = [
    { list: "listTools", key: "tools", noun: "tools", good: { name: "t" }, bad: [{ name: 5 }] },
    { list: "listPrompts", key: "prompts", noun: "prompts", good: { name: "p" }, bad: [{ title: "p" }] },
    {
      list: "listResources",
      key: "resources",
      noun: "resources",
      good: { name: "r", uri: "file:///r" },
      bad: [{ name: "r" }, { uri: "file:///r" }]
    },
    {
      list: "listResourceTemplates",
      key: "resourceTemplates",
      noun: "resource templates",
      good: { name: "r", uriTemplate: "file:///{r}" },
      bad: [{ name: "r" }, { uriTemplate: "file:///{r}" }]
    }
  ] as const

  const capabilities = { tools: {}, prompts: {}, resources: {} }

  for (const { bad, good, key, list, noun } of kinds) {
    it.effect(`has the other ${noun}, and one warning`, () => {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push([logLevel, message]))
      const deep = { ...good, _meta: JSON.parse(`${"[".repeat(5000)}${"]".repeat(5000)}`) as unknown }
      const page = [null, ...bad, deep, good, "text", []]
      const script = Scripted.make({ info: { capabilities }, answer: () => Effect.succeed({ [key]: page }) })
      return Effect.gen(function*() {
        const session = yield* get
        const items = [yield* session[list](), yield* session[list]()]
        assert.deepStrictEqual<unknown>(items, [[good], [good]])
        const { warnings } = yield* session.connect
        const at = page.flatMap((item, position) => item === good ? [] : [position])
        const warning = `lists ${at.length} malformed ${noun}, which are left out: positions ${
          at.slice(0, 5).join(", ")
        }${at.length > 5 ? ", …" : ""}`
        assert.deepStrictEqual(warnings, [warning])
        assert.deepStrictEqual(logged, [["Warn", [`s: ${warning}`]]])
      }).pipe(Effect.provide(Scripted.sessions(script).pipe(Layer.provideMerge(Logger.layer([logger])))))
    })
  }

  it.effect("is warned of in bounded length, over all pages, until it is in order again", () => {
    let pages: ReadonlyArray<ReadonlyArray<unknown>> = [[{}, { name: "a" }], Array.from({ length: 1000 }, () => ({}))]
    const script = Scripted.make({
      info: { capabilities },
      answer: ({ params }) => {
        const page = Number(params?.cursor ?? 0)
        const next = page + 1 < pages.length ? { nextCursor: String(page + 1) } : {}
        return Effect.succeed({ tools: pages[page], ...next })
      }
    })
    return Effect.gen(function*() {
      const session = yield* get
      const warnings = Effect.map(session.connect, ({ warnings }) => warnings)
      yield* session.listTools()
      assert.deepStrictEqual(yield* warnings, [
        "lists 1001 malformed tools, which are left out: positions 0, 2, 3, 4, 5, …"
      ])
      pages = [[{ name: "a" }]]
      yield* session.listTools()
      assert.deepStrictEqual(yield* warnings, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("counts its malformed items, too, against the limit of a list", () => {
    const tools = Array.from({ length: 10_001 }, () => null)
    const script = Scripted.make({ info: { capabilities }, answer: () => Effect.succeed({ tools }) })
    return Effect.gen(function*() {
      const session = yield* get
      const { reason } = yield* Effect.flip(session.listTools())
      assert.strictEqual(reason._tag, "PaginationExceeded")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
