/**
 * Sessions that move between two nodes in this process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { lastIdIn, openStream, startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, streamOf, textOf } from "../../fixtures/gateway.ts"
import { startLocalFleet } from "../../fixtures/localFleet.ts"
import { modernRequest } from "../../fixtures/modernRequest.ts"
import { until } from "../../fixtures/peer.ts"
import { tcpProxy } from "../../fixtures/tcpProxy.ts"

const resultOf = (text: string): unknown => (JSON.parse(text) as { readonly result?: unknown }).result

const read = (uri: string) => ({ jsonrpc: "2.0", id: 2, method: "resources/read", params: { uri } })

const errorDataOf = (text: string): unknown =>
  (JSON.parse(text) as { readonly error?: { readonly data?: unknown } }).error?.data

/** Takes all buckets from an owner with requests that do not end in the time it waits for them. */
const afterDrain = (take: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const taking = yield* Effect.forkChild(take, { startImmediately: true })
    // It gives one bucket up after another.
    yield* Effect.repeat(TestClock.adjust("4 seconds"), { until: () => taking.pollUnsafe() !== undefined })
  }).pipe(Effect.provide(TestClock.layer()))

/** Sends a request until its response has a status, and gives the last status. */
const untilStatus = (status: number, sent: ReturnType<typeof post>) =>
  Effect.map(
    Effect.repeat(sent, {
      schedule: Schedule.spaced("20 millis"),
      times: 250,
      until: (response) => response.status === status
    }),
    (response) => response.status
  )

const start = (drainTimeout: "1 minute" | "5 seconds" = "5 seconds") =>
  Effect.gen(function*() {
    const server = yield* startFleetServer
    const fleet = yield* startLocalFleet({ only: server.config }, { drainTimeout })
    const [first, second] = fleet.nodes
    const { session } = yield* post(first.url, initialize)
    const log = (word: string) => post(first.url, call(9, "log", { word }), { session })
    return { ...fleet, server, first, second, session, log }
  })

describe("a session", () => {
  it.live("is used at both nodes, before and after it has moved", () =>
    Effect.gen(function*() {
      const { first, move, second, server, session } = yield* start()
      const count = ({ url }: typeof first) => post(url, call(1, "count"), { session })
      const before = yield* Effect.all([count(first), count(second)])
      yield* move(second)
      const after = yield* Effect.all([count(first), count(second)])
      assert.deepStrictEqual([...before, ...after].map(({ text }) => textOf(resultOf(text))), Array(4).fill("counted"))
      assert.strictEqual(server.count("POST tools/call count"), 4)
    }))

  it.live("is made anew by each activation of its owner", () =>
    Effect.gen(function*() {
      const { first, give, server, session } = yield* start()
      yield* post(first.url, call(1, "count"), { session })
      const before = server.count("POST initialize")
      // The cluster has made the owner again before the activation ended that it had.
      yield* give(first)
      yield* post(first.url, call(1, "count"), { session })
      assert.strictEqual(server.count("POST initialize"), before + 1)
    }))

  it.live("leaves nothing in flight at its owner when its client ends it there", () =>
    Effect.gen(function*() {
      const { first, session } = yield* start()
      yield* post(first.url, undefined, { session, method: "DELETE" })
      // Time stands still, so this waits for ever if something is in flight.
      yield* Effect.provide(first.owned.drain, TestClock.layer())
    }))

  it.live("is not known at any later owner once its client has ended it", () =>
    Effect.gen(function*() {
      const { first, move, second, session } = yield* start()
      const other = (yield* post(first.url, initialize)).session
      const count = (id: string, { url }: typeof first) => post(url, call(1, "count"), { session: id })
      // The second node is met only after the first end, and has heard of the other end by the time it owns sessions again.
      yield* post(second.url, undefined, { session, method: "DELETE" })
      yield* move(second)
      const atSecond = yield* untilStatus(404, count(session, second))
      yield* post(first.url, undefined, { session: other, method: "DELETE" })
      yield* move(first)
      const atFirst = yield* Effect.all([
        untilStatus(404, count(session, first)),
        untilStatus(404, count(other, first))
      ])
      assert.deepStrictEqual([atSecond, ...atFirst], [404, 404, 404])
      const elsewhere = yield* Effect.all([count(session, second), count(other, second)])
      assert.deepStrictEqual(elsewhere.map(({ status }) => status), [404, 404])
    }))

  it.live("runs no tool for a client that has gone while the session had no owner", () =>
    Effect.gen(function*() {
      const { first, give, server, session, take } = yield* start()
      yield* take
      const gone = yield* Effect.forkChild(post(first.url, call(1, "slow"), { session }), { startImmediately: true })
      const health = post(first.url.replace("/mcp", "/healthz"), undefined, { method: "GET" })
      yield* health
      yield* Fiber.interrupt(gone)
      yield* Effect.andThen(health, health)
      yield* give(first)
      yield* post(first.url, call(2, "count"), { session })
      assert.strictEqual(server.count("POST tools/call slow"), 0)
    }))

  it.live("has a read repeated at its next owner that took longer than the first one waited for it", () =>
    Effect.gen(function*() {
      const { first, give, second, server, session, take } = yield* start()
      const reading = yield* Effect.forkChild(post(second.url, read("note://slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      yield* afterDrain(take)
      yield* give(first)
      yield* until(server.waiting, (waiting) => waiting === 2)
      yield* server.finish
      assert.deepStrictEqual(resultOf((yield* Fiber.join(reading)).text), { contents: [] })
    }))

  it.live("has a read repeated at its next owner that reached the first one itself, and took longer than this waited for it", () =>
    Effect.gen(function*() {
      const { first, give, second, server, session, take } = yield* start()
      const reading = yield* Effect.forkChild(post(first.url, read("note://slow"), { session }))
      const readingModern = yield* Effect.forkChild(
        modernRequest(first.url, "resources/read", { uri: "note://slow" }, { headers: { "mcp-name": "note://slow" } })
      )
      yield* until(server.waiting, (waiting) => waiting === 2)
      yield* afterDrain(take)
      yield* give(second)
      yield* until(server.waiting, (waiting) => waiting === 4)
      yield* server.finish
      assert.deepStrictEqual(resultOf((yield* Fiber.join(reading)).text), { contents: [] })
      assert.deepInclude((yield* Fiber.join(readingModern)).result, { contents: [] })
    }))

  it.live("has a read repeated that its owner has when the cluster makes the owner again", () =>
    Effect.gen(function*() {
      const { first, give, second, server, session } = yield* start()
      const reading = yield* Effect.forEach(
        [first, second],
        ({ url }, id) => Effect.forkChild(post(url, { ...read("note://slow"), id }, { session }))
      )
      yield* until(server.waiting, (waiting) => waiting === 2)
      yield* give(first)
      yield* until(server.waiting, (waiting) => waiting === 4)
      yield* server.finish
      for (const { text } of yield* Fiber.joinAll(reading)) assert.deepStrictEqual(resultOf(text), { contents: [] })
    }))

  it.live("has its reads answered with an error if the gateway that they reached ends", () =>
    Effect.gen(function*() {
      const { first, server, session } = yield* start()
      const reading = yield* Effect.forkChild(post(first.url, read("note://slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      yield* Effect.gen(function*() {
        const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
        yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => reading.pollUnsafe() !== undefined })
        yield* Fiber.interrupt(stopping)
      }).pipe(Effect.provide(TestClock.layer()))
      assert.deepInclude(errorDataOf((yield* Fiber.join(reading)).text), { reason: "SessionClosed" })
    }))

  it.live("answers reads that an owner may have had, and that found no next one, with the delivery Unknown", () =>
    Effect.gen(function*() {
      let isReachable = true
      const server = yield* startFleetServer
      const { nodes: [first, second], take } = yield* startLocalFleet({ only: server.config }, {
        isReachable: Effect.sync(() => isReachable)
      })
      const { session } = yield* post(first.url, initialize)
      const reading = yield* Effect.forEach(
        [first, second],
        ({ url }, id) => Effect.forkChild(post(url, { ...read("note://slow"), id }, { session }))
      )
      yield* until(server.waiting, (waiting) => waiting === 2)
      isReachable = false
      yield* afterDrain(take)
      for (const { text } of yield* Fiber.joinAll(reading)) {
        assert.deepInclude(errorDataOf(text), { reason: "OwnerLost", delivery: "Unknown", isRetryable: true })
      }
      const later = yield* post(first.url, read("note://1"), { session })
      assert.deepInclude(errorDataOf(later.text), { reason: "NoOwner", delivery: "NotSent", isRetryable: true })
    }))

  it.live("is ended by its client at any node, although its principal has all sessions there that it may have", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const limits = { maxSessionsPerPrincipal: 1 }
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config }, { limits })
      // The session is closed by a move, and not made anew before it is used.
      const openAndClose = Effect.gen(function*() {
        const { session } = yield* post(first.url, initialize)
        yield* move(second)
        yield* move(first)
        return session
      })
      const ids = [yield* openAndClose, yield* openAndClose] as const
      yield* post(first.url, initialize)
      const ended = [
        yield* post(first.url, undefined, { session: ids[0], method: "DELETE" }),
        yield* post(second.url, undefined, { session: ids[1], method: "DELETE" })
      ]
      assert.deepStrictEqual(ended.map(({ status }) => status), [200, 200])
      for (const id of ids) {
        assert.strictEqual(yield* untilStatus(404, post(second.url, read("note://1"), { session: id })), 404)
      }
    }))

  it.live("has a read repeated at its owner whose connection was cut", () =>
    Effect.gen(function*() {
      const { first, move, second, server, session } = yield* start()
      const proxy = yield* tcpProxy(Number(new URL(first.hopUrl).port))
      yield* move({ owned: first.owned, hopUrl: `http://127.0.0.1:${proxy.port}` })
      const reading = yield* Effect.forkChild(post(second.url, read("note://slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      proxy.cut()
      yield* until(server.waiting, (waiting) => waiting === 2)
      yield* server.finish
      assert.deepStrictEqual(resultOf((yield* Fiber.join(reading)).text), { contents: [] })
    }))

  it.live("has no tool call repeated at its owner whose connection was cut, but an unknown outcome", () =>
    Effect.gen(function*() {
      const { first, move, second, server, session } = yield* start()
      const proxy = yield* tcpProxy(Number(new URL(first.hopUrl).port))
      yield* move({ owned: first.owned, hopUrl: `http://127.0.0.1:${proxy.port}` })
      const calling = yield* Effect.forkChild(post(second.url, call(1, "slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      proxy.cut()
      const { text } = yield* Fiber.join(calling)
      const { error } = JSON.parse(text) as { readonly error?: { readonly data: unknown } }
      assert.deepInclude(error?.data, { reason: "OutcomeUnknown", delivery: "Unknown", isRetryable: false })
      assert.strictEqual(server.count("POST tools/call slow"), 1)
      yield* server.finish
    }))

  it.live("is used through other nodes while the gateway of its owner waits for requests of its own", () =>
    Effect.gen(function*() {
      const { first, second, server, session } = yield* start("1 minute")
      const calling = yield* Effect.forkChild(post(first.url, call(1, "slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      const stopping = yield* Effect.forkChild(first.stop)
      yield* untilStatus(503, post(first.url.replace("/mcp", "/readyz"), undefined, { method: "GET" }))
      const { text } = yield* post(second.url, read("note://1"), { session })
      assert.property(resultOf(text), "contents")
      yield* server.finish
      assert.strictEqual(textOf(resultOf((yield* Fiber.join(calling)).text)), "done")
      yield* Fiber.join(stopping)
    }))
})

describe("the answer to a question", () => {
  it.live("of an owner before reaches no question of the next one", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const { give, nodes: [first, second], take } = yield* startLocalFleet({ only: server.config })
      const capabilities = { elicitation: {} }
      const { session } = yield* post(first.url, { ...initialize, params: { ...initialize.params, capabilities } })
      /** Calls the tool that asks, and gives the id of the question and the messages after it. */
      const ask = (id: number) =>
        Effect.promise(async () => {
          const messages = await streamOf(first.url, session, call(id, "ask"), new AbortController().signal)
          for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
            if (next.value.method === "elicitation/create") return { question: next.value.id, messages }
          }
          return assert.fail("the server did not ask")
        })
      const answer = (id: number, name: string) =>
        post(
          first.url,
          { jsonrpc: "2.0", id, result: { action: "accept", content: { name } } },
          { session }
        )
      const before = yield* ask(1)
      yield* Effect.gen(function*() {
        const taking = yield* Effect.forkChild(take, { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
        yield* Fiber.join(taking)
      }).pipe(Effect.provide(TestClock.layer()))
      yield* give(second)
      const after = yield* ask(2)
      yield* answer(before.question, "late")
      yield* answer(after.question, "right")
      const next = yield* Effect.promise(() => after.messages.next())
      const { id, result } = next.done === true ? assert.fail("the stream ended") : next.value
      assert.strictEqual(id, 2)
      assert.include(textOf(result), "right")
    }))
})

describe("the stream of a client", () => {
  it.live("goes on at the node that had the session, with its subscriptions and its log level", () =>
    Effect.gen(function*() {
      const { first, log, move, second, server, session } = yield* start()
      const set = (method: string, params: object) =>
        post(first.url, { jsonrpc: "2.0", id: 1, method, params }, { session })
      yield* set("resources/subscribe", { uri: "note://1" })
      yield* set("logging/setLevel", { level: "error" })
      const stream = yield* openStream(first.url, session)
      yield* move(second)
      yield* until(() => server.count("POST resources/subscribe"), (count) => count === 2)
      yield* log("moved")
      yield* until(stream.text, (text) => text.includes("moved"))
      const update = (uri: string) => post(first.url, call(9, "update", { uri }), { session })
      yield* update("note://other")
      yield* update("note://1")
      yield* until(stream.text, (text) => text.includes("notifications/resources/updated"))
      assert.notInclude(stream.text(), "note://other")
      yield* move(first)
      yield* until(() => server.count("POST resources/subscribe"), (count) => count === 3)
      yield* log("back")
      yield* until(stream.text, (text) => text.includes("back"))
      assert.isFalse(stream.isOver())
      assert.isAtLeast(server.levels.length, 3)
      assert.deepStrictEqual(new Set(server.levels), new Set(["error"]))
    }))

  it.live("has one record of a subscription in the audit, at whichever nodes it is restored", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const records: Array<string> = []
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config }, {
        audit: (record) => Effect.sync(() => void (record._tag === "Used" && records.push(record.method)))
      })
      const { session } = yield* post(first.url, initialize)
      yield* openStream(first.url, session)
      const subscription = { jsonrpc: "2.0", id: 1, method: "resources/subscribe", params: { uri: "note://1" } }
      yield* post(first.url, subscription, { session })
      yield* move(second)
      yield* until(() => server.count("POST resources/subscribe"), (count) => count === 2)
      yield* post(second.url, read("note://1"), { session })
      yield* until(() => records, (all) => all.includes("resources/read"))
      assert.deepStrictEqual(records, ["resources/subscribe", "resources/read"])
    }))

  it.live("goes on that its client had resumed by an event of an owner before", () =>
    Effect.gen(function*() {
      const { log, move, nodes: [first], second, session } = yield* start()
      const broken = yield* openStream(second.url, session)
      yield* log("one")
      yield* until(broken.text, (text) => text.includes("one"))
      broken.close()
      const stream = yield* openStream(second.url, session, lastIdIn(broken.text()))
      for (const [word, owner] of [["two", second], ["three", first], ["four", second]] as const) {
        const begun = stream.text().split("retry: ").length
        yield* move(owner)
        yield* until(stream.text, (text) => text.split("retry: ").length > begun)
        yield* log(word)
        yield* until(stream.text, (text) => text.includes(word))
      }
      assert.isFalse(stream.isOver())
      assert.notInclude(stream.text(), "one")
    }))

  it.live("of a call ends with the delivery Unknown if it is resumed at an owner that did not run the call", () =>
    Effect.gen(function*() {
      const { first, move, second, server, session } = yield* start()
      const { text } = yield* post(first.url, call(77, "log", { word: "x" }), { session })
      const id = lastIdIn(text)
      assert.isNotEmpty(id)
      yield* move(second)
      for (const { url } of [first, second]) {
        const resumed = yield* openStream(url, session, id)
        yield* until(resumed.isOver, (isOver) => isOver)
        const [, data = "{}"] = /^data: (.+)$/m.exec(resumed.text()) ?? []
        const { error, id: request } = JSON.parse(data) as {
          readonly id?: unknown
          readonly error?: { readonly data: unknown }
        }
        assert.strictEqual(request, 77)
        assert.deepInclude(error?.data, { reason: "OutcomeUnknown", delivery: "Unknown" })
      }
      assert.strictEqual(server.count("POST tools/call log"), 1)
    }))

  it.live("keeps its subscriptions when a stream of a request is resumed beside it", () =>
    Effect.gen(function*() {
      const { first, move, second, server, session } = yield* start()
      const stream = yield* openStream(second.url, session)
      const { text } = yield* post(first.url, call(1, "log", { word: "x" }), { session })
      // The response is JSON, or a stream whose last event can be named.
      if (text.includes("id: ")) yield* openStream(second.url, session, lastIdIn(text))
      yield* post(first.url, { jsonrpc: "2.0", id: 1, method: "resources/subscribe", params: { uri: "note://1" } }, {
        session
      })
      yield* move(first)
      yield* until(() => server.count("POST resources/subscribe"), (count) => count === 2)
      assert.isFalse(stream.isOver())
    }))
})
