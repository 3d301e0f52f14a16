/**
 * The sessions of a gateway: of clients at the gateway, and of the gateway at the servers. The ledger of sessions is the server's.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { call, connectV1, initialize, post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { http, stdio, until } from "../../fixtures/peer.ts"

const alice = "the-token-of-alice"
const bob = "the-token-of-bob-too"
const tokens = { alice: Redacted.make(alice), bob: Redacted.make(bob) }

/** The sessions that the server has. */
const openAt = (ledger: (word: string) => ReadonlyArray<string>) => {
  const deleted = ledger("delete")
  return ledger("session").filter((id) => !deleted.includes(id))
}

describe("a session of a client", () => {
  it.live("has a session of its own at a server, opened by the first call and deleted with the client", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* http("v1").start
      const { clients, url } = yield* startGateway({ only: { ...config, protocol: "legacy" } })
      const scope = yield* Scope.make()
      const [first, second] = yield* Scope.provide(Effect.all([connectV1(url), connectV1(url)]), scope)
      // The session that follows the lists.
      assert.lengthOf(openAt(ledger), 1)
      for (const { client } of [first, second, first]) {
        yield* Effect.promise(() => client.callTool({ name: "count", arguments: { id: "1" } }))
      }
      assert.lengthOf(openAt(ledger), 3)
      assert.strictEqual(yield* clients, 2)
      yield* Scope.close(scope, Exit.void)
      yield* until(() => openAt(ledger), (open) => open.length === 1)
      assert.strictEqual(yield* clients, 0)
    }))

  it.live("shares the session of a server that is stateless", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* http("v1").start
      const { url } = yield* startGateway({ only: { ...config, protocol: "legacy", stateless: true } })
      const [first, second] = yield* Effect.all([connectV1(url), connectV1(url)])
      for (const { client } of [first, second]) {
        yield* Effect.promise(() => client.callTool({ name: "count", arguments: { id: "1" } }))
      }
      assert.lengthOf(openAt(ledger), 1)
    }))

  it.live("leaves nothing at the servers when the gateway ends, with a call in flight", () =>
    Effect.gen(function*() {
      const [remote, local] = [yield* http("v1").start, yield* stdio("v1").start]
      const scope = yield* Scope.make()
      const { url } = yield* Scope.provide(
        startGateway(
          { remote: remote.config, local: local.config },
          { resources: ["remote"], drainTimeout: 0 }
        ),
        scope
      )
      const { session } = yield* post(url, initialize)
      const calls = yield* Effect.forEach(["remote", "local"], (server) =>
        Effect.forkChild(post(url, call(server.length, `${server}_hang`, { id: "1" }), { session })))
      yield* until(() => [...remote.ledger("hang"), ...local.ledger("hang")], (ids) =>
        ids.length === 2)
      yield* Scope.close(scope, Exit.void)
      for (const one of calls) {
        const { text } = yield* Fiber.join(one)
        assert.strictEqual(JSON.parse(text).error.data.reason, "SessionClosed")
      }
      yield* until(() => [...remote.leftovers(), ...local.leftovers()], (left) => left.length === 0)
    }))

  it.live("is found only by its own principal, and an id of another has the answer of an id that never was", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { tokens })
      const { session } = yield* post(url, initialize, { token: alice })
      const count = call(1, "count", { id: "1" })
      const own = yield* post(url, count, { session, token: alice })
      assert.strictEqual(own.status, 200)
      const changed = session.slice(0, -2) + (session.endsWith("AA") ? "BB" : "AA")
      const others = yield* Effect.all([
        post(url, count, { session, token: bob }),
        post(url, count, { session: changed, token: alice }),
        post(url, count, { session: "00000000-0000-0000-0000-000000000000", token: alice })
      ])
      for (const { status, text } of others) {
        assert.strictEqual(status, 404)
        assert.deepStrictEqual(JSON.parse(text).error, { code: -32001, message: "Session not found" })
      }
      assert.deepStrictEqual(ledger("count"), ["1"])
    }))

  it.live("is over once its client deletes it", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { client, sessionId } = yield* connectV1(url)
      const said = yield* Effect.promise(() => client.callTool({ name: "echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
      yield* post(url, undefined, { method: "DELETE", session: sessionId })
      const { status } = yield* post(url, call(9, "echo", { message: "hi" }), { session: sessionId })
      assert.strictEqual(status, 404)
    }))
})

describe("an answer", () => {
  it.live("never reaches another client of the same principal: each of 200 calls gets its own", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const clients = yield* Effect.all(Array.from({ length: 4 }, () => connectV1(url)))
      const ids = Array.from({ length: 200 }, (_, id) => id)
      yield* Effect.forEach(ids, (id) =>
        Effect.gen(function*() {
          const { client } = clients[id % clients.length] ?? assert.fail("there is no client")
          const said = yield* Effect.promise(() =>
            client.callTool({ name: "echo", arguments: { message: `for ${id}` } })
          )
          assert.strictEqual(textOf(said), `for ${id}`)
          yield* Effect.promise(() => client.callTool({ name: "count", arguments: { id } }))
        }), { concurrency: "unbounded", discard: true })
      const ran = ledger("count").map(Number)
      assert.deepStrictEqual(ran.toSorted((left, right) => left - right), ids)
    }))
})
