/**
 * Requests that a node cannot hand to the owner of their session, or has to keep, as clients see them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schedule } from "effect"
import { openStream, startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, listening, post, streamOf } from "../../fixtures/gateway.ts"
import { startLocalFleet } from "../../fixtures/localFleet.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { until } from "../../fixtures/peer.ts"

const dataIn = (text: string): unknown =>
  (JSON.parse(text) as { readonly error?: { readonly data?: unknown } }).error?.data

const read = (uri: string) => ({ jsonrpc: "2.0", id: 2, method: "resources/read", params: { uri } })

/** How many requests of the gateways of this process an owner has refused. */
const refusedHops = (url: string) =>
  Effect.map(
    post(url.replace("/mcp", "/metrics"), undefined, { method: "GET" }),
    ({ text }) => Number(/^mcp_sessions_fleet_hops_total\{outcome="refused"\} (\d+)/m.exec(text)?.[1] ?? 0)
  )

describe("a request", () => {
  it.live("has an error with the delivery Unknown if the node fails that should hand it on", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const isReachable = Effect.die("a fault of the database client")
      const { nodes: [first], take } = yield* startLocalFleet({ only: server.config }, { isReachable })
      const { session } = yield* post(first.url, initialize)
      yield* take
      const [called, asked] = yield* Effect.all([
        post(first.url, call(1, "count"), { session }),
        post(first.url, read("note://1"), { session })
      ], { concurrency: "unbounded" })
      assert.deepInclude(dataIn(called.text), { reason: "OutcomeUnknown", delivery: "Unknown", isRetryable: false })
      assert.deepInclude(dataIn(asked.text), { reason: "OwnerLost", delivery: "Unknown", isRetryable: true })
      assert.strictEqual(server.count("POST tools/call count"), 0)
    }))

  it.live("waits at an owner that stood still until it knows what it owns", () =>
    Effect.gen(function*() {
      const { clock, skip } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const server = yield* startFleetServer
          const { nodes: [first] } = yield* startLocalFleet({ only: server.config })
          const { session } = yield* post(first.url, initialize)
          const before = yield* refusedHops(first.url)
          skip(11_000)
          const { text } = yield* post(first.url, call(1, "count"), { session })
          assert.include(text, "counted")
          assert.isAbove(yield* refusedHops(first.url), before)
        }),
        Clock.Clock,
        clock
      )
    }))

  it.live("for a stream of changes ends when its session moves, so that its client asks at the next owner", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config })
      const signal = yield* Effect.abortSignal
      const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen" }
      const stream = yield* Effect.promise(() => streamOf(first.url, "", listening, signal, { headers }))
      const { value } = yield* Effect.promise(() => stream.next())
      assert.strictEqual(value.method, "notifications/subscriptions/acknowledged")
      let isOver = false
      const ending = yield* Effect.forkChild(
        Effect.promise(() => stream.next().catch(() => {}).finally(() => void (isOver = true)))
      )
      yield* move(second)
      yield* until(() => isOver, (over) => over)
      yield* Fiber.join(ending)
    }))
})

describe("the state of a client", () => {
  it.live("moves whole with as many subscriptions as a client may have, and as long ones", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const limits = { maxBodyBytes: 64 * 1024 }
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config }, { limits })
      const { session } = yield* post(first.url, initialize)
      const subscribe = (uri: string) =>
        post(first.url, { jsonrpc: "2.0", id: uri, method: "resources/subscribe", params: { uri } }, { session })
      const longest = (index: number) => `note://${index}/`.padEnd(4096, "€")
      const refused = yield* subscribe(`${longest(0)}x`)
      assert.include(refused.text, "more than 4096 characters")
      const uris = Array.from({ length: 256 }, (_, index) => longest(index))
      for (const uri of uris) assert.include((yield* subscribe(uri)).text, "\"result\"")
      const stream = yield* openStream(second.url, session)
      for (const [index, owner] of [second, first].entries()) {
        // The log message comes after the state in the stream.
        yield* post(first.url, call(9, "log", { word: `before move ${index}` }), { session })
        yield* until(stream.text, (text) => text.includes(`before move ${index}`))
        yield* move(owner)
        yield* until(() => server.count("POST resources/subscribe"), (count) => count === (index + 2) * 256)
      }
      assert.isFalse(stream.isOver())
    }))
})

describe("a node that owns sessions for the first time", () => {
  it.live("hears of all that have ended, although they are more than a client may send", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const limits = { maxBodyBytes: 200 }
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config }, { limits })
      const sessions = yield* Effect.forEach(Array(5), () =>
        Effect.map(post(first.url, initialize), ({ session }) => session))
      for (const session of sessions) {
        yield* post(first.url, undefined, { session, method: "DELETE" })
      }
      yield* move(second)
      for (const session of sessions) {
        const { status } = yield* Effect.repeat(post(second.url, call(1, "count"), { session }), {
          schedule: Schedule.spaced("20 millis"),
          times: 250,
          until: ({ status }) =>
            status === 404
        })
        assert.strictEqual(status, 404)
      }
    }))
})
