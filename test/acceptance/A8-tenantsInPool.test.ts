/**
 * A8, tenants in a pool: many identities share few sessions of a server that identifies each by its token. The server keeps its own
 * ledger.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionPool, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"

interface Known {
  /** The tokens of its requests, beginning with that of `initialize`. */
  readonly tokens: Set<string | undefined>
  isOpen: boolean
}

/** A server that records the tokens used in each session and the largest number of sessions. */
const strict = (handle: (arrival: Http.Arrival) => boolean = () => false) => {
  const sessions = new Map<string, Known>()
  const ran: Array<string> = []
  let most = 0
  const open = () => [...sessions.values()].filter(({ isOpen }) => isOpen).length
  const answer = (arrival: Http.Arrival): boolean => {
    const { message, request, response } = arrival
    const token = request.headers.authorization
    if (message.method === "initialize") {
      const id = `session-${sessions.size + 1}`
      sessions.set(id, { tokens: new Set([token]), isOpen: true })
      most = Math.max(most, open())
      const serverInfo = { name: "strict", version: "1" }
      const result = { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo }
      Http.json(response, Http.result(message.id, result), { "mcp-session-id": id })
      return true
    }
    const known = sessions.get(String(request.headers["mcp-session-id"]))
    known?.tokens.add(token)
    if (known?.isOpen !== true) {
      response.writeHead(404).end()
      return true
    }
    if (request.method === "DELETE") known.isOpen = false
    if (handle(arrival)) return true
    if (message.method === "tools/call") ran.push(JSON.stringify(message.params?.arguments))
    return false
  }
  return {
    answer,
    sessions,
    ran,
    open,
    most: () => most,
    forget: () => {
      for (const known of sessions.values()) known.isOpen = false
    }
  }
}

const live = (url: string) =>
  Sessions.layer({
    servers: { crm: { transport: "streamable_http", url, protocol: "legacy", healthInterval: 0 } },
    credentials: ({ owner }) => Effect.succeed({ headers: { authorization: Redacted.make(`Bearer ${owner}`) } })
  }).pipe(Layer.provide(Transports.layer))

const sessionOf = (entry: Http.Entry | undefined) => entry?.headers["mcp-session-id"]

describe("A8: a pool with many tenants", () => {
  it.effect("runs twenty calls for each of fifty tenants on ten sessions, never shares a session, and closes idle sessions", () =>
    Effect.gen(function*() {
      const server = strict()
      const { count, ledger, url } = yield* Http.start(server.answer)
      yield* Effect.gen(function*() {
        const pool = yield* SessionPool.make({ server: "crm", max: 10, idleTimeToLive: "1 minute" })
        const calls = Array.from({ length: 1000 }, (_, n) => ({ tenant: `tenant ${n % 50}`, n }))
        yield* Effect.forEach(
          calls,
          ({ n, tenant }) => pool.callTool("charge", { n, tenant }, { owner: tenant }),
          { concurrency: "unbounded", discard: true }
        )
        assert.isAtMost(server.most(), 10)
        for (const [id, { tokens }] of server.sessions) assert.strictEqual(tokens.size, 1, id)
        assert.strictEqual(server.ran.length, 1000)
        assert.strictEqual(new Set(server.ran).size, 1000)
        for (const { headers, what } of ledger) {
          if (what === "POST initialize") assert.match(String(headers.authorization), /^Bearer tenant \d+$/)
        }
        const { idle } = yield* pool.stats
        assert.strictEqual(server.open(), idle)
        yield* TestClock.adjust("1 minute")
        yield* TestClock.withLive(until(server.open, (open) => open === 0))
        assert.strictEqual(count("DELETE"), server.sessions.size)
        assert.deepInclude(yield* pool.stats, { active: 0, idle: 0, waiting: 0 })
      }).pipe(Effect.scoped, Effect.provide(live(url)))
    }))

  it.effect("serves waiting tenants in order, and skips a tenant that leaves", () =>
    Effect.gen(function*() {
      const server = strict()
      const { url } = yield* Http.start(server.answer)
      yield* Effect.gen(function*() {
        const pool = yield* SessionPool.make({ server: "crm", max: 1 })
        const gate = Deferred.makeUnsafe<void>()
        const isLent = Deferred.makeUnsafe<void>()
        const held = yield* Effect.forkChild(
          pool.use(() => Effect.andThen(Deferred.succeed(isLent, undefined), Deferred.await(gate)), { owner: "first" })
        )
        yield* Deferred.await(isLent)
        const waiting = yield* Effect.forEach(
          ["a", "b", "c", "a"],
          (owner, n) => Effect.forkChild(pool.callTool("charge", { n }, { owner }), { startImmediately: true })
        )
        yield* Fiber.interrupt(waiting[1] ?? assert.fail())
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(held)
        yield* Effect.forEach([0, 2, 3], (n) => Fiber.join(waiting[n] ?? assert.fail()))
        assert.deepStrictEqual(server.ran, [`{"n":0}`, `{"n":2}`, `{"n":3}`])
        assert.strictEqual(server.most(), 1)
      }).pipe(Effect.scoped, Effect.provide(live(url)))
    }))

  it.effect("cancels the call of an interrupted tenant on the server, and leases its session to the next", () =>
    Effect.gen(function*() {
      const server = strict(({ message }) => message.method === "tools/call" && message.params?.name === "slow")
      const { count, ledger, url } = yield* Http.start(server.answer)
      yield* Effect.gen(function*() {
        const pool = yield* SessionPool.make({ server: "crm", max: 1 })
        const slow = yield* Effect.forkChild(pool.callTool("slow", {}, { owner: "a" }))
        yield* TestClock.withLive(until(() => count("POST tools/call slow"), (calls) => calls === 1))
        yield* Fiber.interrupt(slow)
        yield* TestClock.withLive(until(() => count("POST notifications/cancelled"), (told) => told === 1))
        yield* pool.callTool("charge", {}, { owner: "a" })
        const used = ledger.filter(({ what }) => what.startsWith("POST tools/call")).map(sessionOf)
        assert.deepStrictEqual(used, ["session-1", "session-1"])
      }).pipe(Effect.scoped, Effect.provide(live(url)))
    }))

  it.effect("does not lease a session again after the server dropped it during a lease", () =>
    Effect.gen(function*() {
      const server = strict()
      const { ledger, url } = yield* Http.start(server.answer)
      yield* Effect.gen(function*() {
        const pool = yield* SessionPool.make({ server: "crm", max: 1 })
        const callTwice = pool.use((session) =>
          Effect.andThen(
            session.callTool("charge", { n: 1 }),
            Effect.suspend(() => {
              server.forget()
              return session.callTool("charge", { n: 2 })
            })
          ), { owner: "a" })
        yield* callTwice
        yield* pool.callTool("charge", { n: 3 }, { owner: "a" })
        assert.deepStrictEqual(server.ran, [`{"n":1}`, `{"n":2}`, `{"n":3}`])
        const used = ledger.filter(({ what }) => what === "POST tools/call charge").map(sessionOf)
        // The second call was first sent on the dropped session.
        assert.deepStrictEqual(used, ["session-1", "session-1", "session-2", "session-3"])
        assert.strictEqual(server.open(), 1)
      }).pipe(Effect.scoped, Effect.provide(live(url)))
    }))
})
