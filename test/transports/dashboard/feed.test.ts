/**
 * The event stream of the page: bounded, and ended with its process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Gateway, SessionRouter, Transports } from "@mcp-sessions/transports"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { once } from "node:events"
import { createServer, get, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Feed, type FeedOptions } from "../../../packages/transports/src/internal/dashboard/feed.ts"
import { PageSessions } from "../../../packages/transports/src/internal/dashboard/pageSessions.ts"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { connectV1, startGateway } from "../../fixtures/gateway.ts"
import { act, enter, events, type Message, pageUrls, send, startPage } from "../../fixtures/page.ts"
import { fixture, isAlive, makeLedger, until } from "../../fixtures/peer.ts"

const snapshotOf = ([first]: ReadonlyArray<Message>): Record<string, never> => first?.["snapshot"] ?? {}

describe("the event stream of the page", () => {
  it.live("begins with a snapshot that holds the latest 200 calls, the last one last", () =>
    Effect.gen(function*() {
      const { origin, url } = yield* startPage()
      const { client } = yield* connectV1(`${origin}/mcp`)
      for (let n = 0; n < 210; n++) yield* Effect.promise(() => client.callTool({ name: n < 209 ? "plain" : "order" }))
      const { messages } = yield* events(yield* enter(url))
      yield* until(() => messages.length, (count) => count > 0)
      const calls = snapshotOf(messages)["calls"] as unknown as ReadonlyArray<Record<string, unknown>>
      assert.strictEqual(calls.length, 200)
      assert.deepInclude(calls.at(-1), {
        principal: "anonymous",
        method: "tools/call",
        name: "order",
        server: "marked",
        outcome: "Succeeded",
        delivery: "Answered"
      })
    }))

  it.live("names the page of one process among several as such", () =>
    Effect.gen(function*() {
      const titleOf = (url: string) =>
        Effect.gen(function*() {
          const { messages } = yield* events(yield* enter(url))
          yield* until(() => messages.length, (count) => count > 0)
          return snapshotOf(messages)["title"] as unknown as string
        })
      const alone = yield* startPage()
      assert.strictEqual(yield* titleOf(alone.url), "gateway")
      const { latest, onUrl } = pageUrls()
      yield* Layer.build(
        Gateway.layer({
          ui: true,
          onPageUrl: onUrl,
          sessionKey: Redacted.make(Buffer.alloc(32, "page")),
          sessions: Sessions.layer({ servers: {} })
        }).pipe(Layer.provide([Transports.layer, SessionRouter.layerSealed]))
      )
      assert.strictEqual(yield* titleOf(yield* latest(1)), "gateway: this process only, of a fleet")
    }))

  it.live("says how many calls of a burst are left out", () =>
    Effect.gen(function*() {
      const { origin, url } = yield* startPage()
      const { client } = yield* connectV1(`${origin}/mcp`)
      yield* Effect.promise(() => client.callTool({ name: "plain" }))
      const { messages } = yield* events(yield* enter(url))
      yield* until(() => messages.length, (count) => count > 0)
      const [count, inFlight] = [500, 250]
      for (let called = 0; called < count; called += inFlight) {
        const calls = () => Promise.all(Array.from({ length: inFlight }, () => client.callTool({ name: "plain" })))
        yield* Effect.promise(calls)
      }
      const seen = () =>
        messages.flatMap((message) => message.kind === "calls" ? [message["calls"]] : []) as unknown as ReadonlyArray<
          { readonly items: ReadonlyArray<unknown>; readonly hidden: number }
        >
      yield* until(() => seen().reduce((sum, { hidden, items }) => sum + hidden + items.length, 0), (sum) =>
        sum === count)
      for (const { items } of seen()) {
        assert.isAtMost(items.length, 200)
      }
    }))

  it.live("cuts texts of servers, and names of callers, to a bounded length", () =>
    Effect.gen(function*() {
      const { origin, url } = yield* startPage()
      const { client } = yield* connectV1(`${origin}/mcp`)
      yield* Effect.promise(() => client.callTool({ name: "x".repeat(100_000) }).catch(() => undefined))
      const { messages } = yield* events(yield* enter(url))
      yield* until(() => messages.length, (count) => count > 0)
      assert.isBelow(JSON.stringify(messages[0]).length, 4000)
    }))

  it.live("ends when the session has more streams than it may have: the oldest one", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const session = yield* enter(url)
      const streams = yield* Effect.forEach(Array.from({ length: 7 }), () => events(session))
      yield* until(() => streams.map(({ isEnded }) => isEnded()), ([first]) => first === true)
      assert.deepStrictEqual(streams.map(({ isEnded }) => isEnded()).slice(1), Array.from({ length: 6 }, () => false))
    }))

  it.live("is refused with 429 while 256 of them are open, and opens again once one of them has ended", () =>
    Effect.gen(function*() {
      const names = ["alice", "bob", "carol"]
      const tokens = Object.fromEntries(names.map((name) => [name, Redacted.make(`the-token-of-${name}`)]))
      const { url } = yield* startPage({ tokens })
      // A session has 6 streams, and a principal 16 sessions.
      const sessions = yield* Effect.forEach(
        Array.from({ length: 43 }, (_, index) => `the-token-of-${names[index % 3] ?? ""}`),
        (token) => enter(url, token)
      )
      const [first = assert.fail(), ...others] = sessions.flatMap((session) => Array.from({ length: 6 }, () => session))
      const scope = yield* Scope.make()
      yield* Scope.provide(events(first), scope)
      const opened = yield* Effect.forEach(others.slice(0, 255), (session) => events(session))
      assert.isTrue(opened.every(({ status }) => status === 200))
      const last = others.at(-1) ?? assert.fail()
      const { headers, status } = yield* send(`${last.origin}/ui/events?token=${last.token}`, {
        method: "GET",
        headers: { cookie: last.cookie }
      })
      assert.deepStrictEqual([status, headers["retry-after"]], [429, "5"])
      yield* Scope.close(scope, Exit.void)
      yield* Effect.repeat(events(last), { until: ({ status }) => status === 200 })
    }))

  it.live("takes no place for a response that has closed before", () =>
    Effect.gen(function*() {
      const backend = {
        title: "page",
        servers: ["only"],
        isOperator: () => true,
        clients: () => [],
        status: () => Effect.succeed({ circuit: { state: "closed" }, inFlight: 0, connections: [] }),
        watch: () => Effect.never
      } as unknown as FeedOptions["backend"]
      const streams = yield* EventStreams.make(() => 0)
      const feed = new Feed({ backend, streams, now: () => 0, fork: Effect.runFork, onTurn: () => {} })
      const sessions = new PageSessions(() => 0)
      const { cookie, token } = sessions.open("alice")
      const session = sessions.find(cookie, token) ?? assert.fail("there is no session")
      const closed = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer().listen(0, "127.0.0.1")
          await once(server, "listening")
          const sent = get({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", agent: false })
          sent.on("error", () => {})
          const [, response] = await once(server, "request") as [unknown, ServerResponse]
          const closing = once(response, "close")
          sent.destroy()
          await closing
          return { server, response }
        }),
        ({ server }) => Effect.sync(() => server.close())
      )
      for (let opened = 0; opened < 1000; opened++) assert.isTrue(feed.open(session, closed.response))
      assert.strictEqual(session.streams.size, 0)
      yield* until(() => feed.size, (size) => size === 0)
    }))

  it.live("has the servers pinged while a page is open, and not before or afterwards", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const backend = {
        title: "page",
        servers: ["only"],
        isOperator: () => true,
        clients: () => [],
        status: () => Effect.succeed({ circuit: { state: "closed" }, inFlight: 0, connections: [] }),
        watch: () =>
          Effect.sync(() => void log.push("begins")).pipe(
            Effect.andThen(Effect.never),
            Effect.ensuring(Effect.sync(() => void log.push("ends")))
          )
      } as unknown as FeedOptions["backend"]
      const streams = yield* EventStreams.make(() => 0)
      yield* Effect.addFinalizer(() => Effect.sync(() => streams.close()))
      const feed = new Feed({ backend, streams, now: () => 0, fork: Effect.runFork, onTurn: () => {} })
      const sessions = new PageSessions(() => 0)
      const { cookie, token } = sessions.open("alice")
      const session = sessions.find(cookie, token) ?? assert.fail("there is no session")
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer((_, response) => feed.open(session, response)).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.closeAllConnections() ?? server.close())
      )
      const { port } = server.address() as AddressInfo
      const open = Effect.acquireRelease(
        Effect.sync(() => get({ port, host: "127.0.0.1", agent: false }, (response) => response.resume())),
        (sent) => Effect.sync(() => sent.on("error", () => {}).destroy())
      )
      for (const times of [1, 2]) {
        const before = log.length
        yield* Effect.scoped(Effect.gen(function*() {
          yield* Effect.all([open, open])
          yield* until(() => feed.size, (size) => size === 2)
          yield* until(() => log.length, (length) => length > before)
        }))
        yield* until(() => feed.size, (size) => size === 0)
        yield* until(() => log, ({ length }) => length === before + 2)
        assert.deepStrictEqual(log, Array.from({ length: times }, () => ["begins", "ends"]).flat())
      }
    }))

  it.live("ends with the gateway, which leaves nothing", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const scope = yield* Scope.make()
      const { latest, onUrl } = pageUrls()
      yield* startGateway(
        { marked: { command: process.execPath, args: [fixture("pageStdio.mjs"), file] } },
        { ui: true, onPageUrl: onUrl }
      ).pipe(Scope.provide(scope))
      const session = yield* enter(yield* latest(1))
      const { isEnded, messages } = yield* events(session)
      yield* until(() => messages.length, (count) => count > 0)
      yield* act(session, "call", { server: "marked", tool: "plain", arguments: "{}" })
      yield* Scope.close(scope, Exit.void)
      yield* until(isEnded, (ended) => ended)
      yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
    }))
})
