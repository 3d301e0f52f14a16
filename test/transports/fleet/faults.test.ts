/**
 * Faults of a fleet under load: nodes that are killed, frozen and stopped, connections that are cut, a database that is away. The ledger of the
 * server says which tools ran.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Account, accountOf, during } from "../../fixtures/fleetLoad.ts"
import { call, initialize, post } from "../../fixtures/gateway.ts"
import { type Node, startFleet, untilReady } from "../../fixtures/gatewayFleet.ts"
import { stdio } from "../../fixtures/peer.ts"
import * as Postgres from "../../fixtures/postgres.ts"

const read = { jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri: "note://1" } }

const isSound = ({ failedReads, twice, wrong }: Account): void =>
  assert.deepStrictEqual({ failedReads, twice, wrong }, { failedReads: [], twice: [], wrong: [] })

/** Waits until every session has an owner that answers, as clients see it. */
const untilOwned = (nodes: ReadonlyArray<Node>): Effect.Effect<void> =>
  Effect.forEach(nodes, untilReady, { concurrency: "unbounded", discard: true })

describe.skipIf(!Postgres.isRunning)(`a fleet under load${Postgres.reason}`, () => {
  it.live("loses no read and runs no tool twice, whatever becomes of its nodes", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { database, join, nodes: [a, b, c] } = yield* startFleet({ only: config })

      const cut = yield* during({
        name: "cut",
        ledger,
        homes: [a, b, c],
        nodes: [a, b, c],
        what: Effect.gen(function*() {
          for (const { links } of [a, b, c]) for (const link of links) link.cut()
          yield* untilOwned([a, b, c])
        })
      })
      isSound(accountOf(cut))

      const frozen = yield* during({
        name: "frozen",
        ledger,
        homes: [a, b, c],
        nodes: [a, c],
        what: Effect.gen(function*() {
          const { session } = yield* post(b.url, initialize)
          yield* b.signal("SIGSTOP")
          yield* post(a.url, read, { session })
          yield* b.signal("SIGCONT")
          yield* untilOwned([a, b, c])
        })
      })
      isSound(accountOf(frozen))

      const killed = yield* during({
        name: "killed",
        ledger,
        homes: [a, b, c],
        nodes: [b, c],
        what: Effect.gen(function*() {
          const { session } = yield* post(a.url, initialize)
          yield* a.signal("SIGKILL")
          yield* post(b.url, read, { session })
          yield* untilOwned([b, c])
        })
      })
      isSound(accountOf(killed))

      const d = yield* join
      yield* untilOwned([b, c, d])
      const stopped = yield* during({
        name: "stopped",
        ledger,
        homes: [b, c, d],
        nodes: [b, d],
        what: Effect.gen(function*() {
          yield* c.signal("SIGTERM")
          yield* c.exited
          yield* untilOwned([b, d])
        })
      })
      isSound(accountOf(stopped))
      // Ownership ends with the locks, and begins anew when the database is back.
      const { session } = yield* post(b.url, initialize)
      database.leave()
      const away = yield* Effect.repeat(post(d.url, call(1, "only_count", { id: "away" }), { session }), {
        until: ({ text }) => text.includes("NoOwner")
      })
      assert.include(away.text, "\"delivery\":\"NotSent\"")
      database.comeBack()
      let tries = 0
      const calling = Effect.suspend(() => post(d.url, call(1, "only_count", { id: `back ${++tries}` }), { session }))
      // A call at an owner that closes is unknown; the next one has an id of its own.
      const back = yield* Effect.repeat(calling, { until: ({ text }) => text.includes("counted") })
      assert.include(back.text, "counted")
      assert.lengthOf(ledger("count").filter((id) => id === `back ${tries}`), 1)
    }), 180_000)
})
