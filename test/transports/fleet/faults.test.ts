/**
 * Faults of a fleet under load: nodes that are killed, frozen and stopped, connections that are cut, a database that is away. The ledger of the
 * server says which tools ran.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { type Account, accountOf, load } from "../../fixtures/fleetLoad.ts"
import { call, initialize, post } from "../../fixtures/gateway.ts"
import { hasDatabase, type Node, startFleet, untilReady } from "../../fixtures/gatewayFleet.ts"
import { stdio } from "../../fixtures/peer.ts"

/** Runs a load while something happens, and gives the account. */
const during = <E>(
  { homes, ledger, name, urls, what }: {
    readonly name: string
    readonly ledger: (word: string) => ReadonlyArray<string>
    readonly homes: ReadonlyArray<Node>
    readonly urls: ReadonlyArray<Node>
    readonly what: Effect.Effect<void, E>
  }
): Effect.Effect<Account, E> =>
  Effect.gen(function*() {
    const running = { isOver: false }
    const loading = yield* Effect.forkChild(load({
      name,
      clients: 9,
      homes: homes.map(({ url }) => url),
      urls: urls.map(({ url }) => url),
      isOver: () => running.isOver
    }))
    yield* Effect.repeat(Effect.sync(() => ledger("count").filter((id) => id.startsWith(name)).length), {
      schedule: Schedule.spaced("20 millis"),
      until: (count) => count > 20
    })
    yield* what
    running.isOver = true
    const ended = yield* Fiber.join(loading)
    return accountOf(ended, ledger("count").filter((id) => id.startsWith(name)))
  })

const read = { jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri: "note://1" } }

const isSound = ({ failedReads, twice, wrong }: Account): void =>
  assert.deepStrictEqual({ failedReads, twice, wrong }, { failedReads: [], twice: [], wrong: [] })

/** Waits until every session has an owner that answers, as clients see it. */
const untilOwned = (nodes: ReadonlyArray<Node>): Effect.Effect<void> =>
  Effect.forEach(nodes, untilReady, { concurrency: "unbounded", discard: true })

describe.skipIf(!hasDatabase)("a fleet under load (needs PostgreSQL on 127.0.0.1:5432)", () => {
  it.live("loses no read and runs no tool twice, whatever becomes of its nodes", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { database, join, nodes: [a, b, c] } = yield* startFleet({ only: config })

      const cut = yield* during({
        name: "cut",
        ledger,
        homes: [a, b, c],
        urls: [a, b, c],
        what: Effect.gen(function*() {
          for (const { links } of [a, b, c]) for (const link of links) link.cut()
          yield* untilOwned([a, b, c])
        })
      })
      isSound(cut)

      const frozen = yield* during({
        name: "frozen",
        ledger,
        homes: [a, b, c],
        urls: [a, c],
        what: Effect.gen(function*() {
          const { session } = yield* post(b.url, initialize)
          yield* b.signal("SIGSTOP")
          yield* post(a.url, read, { session })
          yield* b.signal("SIGCONT")
          yield* untilOwned([a, b, c])
        })
      })
      isSound(frozen)

      const killed = yield* during({
        name: "killed",
        ledger,
        homes: [a, b, c],
        urls: [b, c],
        what: Effect.gen(function*() {
          const { session } = yield* post(a.url, initialize)
          yield* a.signal("SIGKILL")
          yield* post(b.url, read, { session })
          yield* untilOwned([b, c])
        })
      })
      isSound(killed)

      const d = yield* join
      yield* untilOwned([b, c, d])
      const stopped = yield* during({
        name: "stopped",
        ledger,
        homes: [b, c, d],
        urls: [b, d],
        what: Effect.gen(function*() {
          yield* c.signal("SIGTERM")
          yield* c.exited
          yield* untilOwned([b, d])
        })
      })
      isSound(stopped)
      // Ownership ends with the locks, and begins anew when the database is back.
      const { session } = yield* post(b.url, initialize)
      database.leave()
      const away = yield* Effect.repeat(post(d.url, call(1, "only_count", { id: "away" }), { session }), {
        until: ({ text }) => text.includes("NoOwner")
      })
      assert.include(away.text, "\"delivery\":\"NotSent\"")
      database.comeBack()
      const back = yield* Effect.repeat(post(d.url, call(1, "only_count", { id: "back" }), { session }), {
        while: ({ text }) => text.includes("NoOwner")
      })
      assert.include(back.text, "counted")
      assert.lengthOf(ledger("count").filter((id) => id === "back"), 1)
    }), 180_000)
})
