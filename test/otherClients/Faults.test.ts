/**
 * Our own column of the fault table is right, and the table has all faults and clients. Other clients are run by `pnpm faults`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { clients } from "./allClients.ts"
import * as ours from "./clients/mcpSessions.ts"
import { faults, makePlace } from "./Fault.ts"
import { read } from "./page.ts"

const written = read()

describe.concurrent("the fault table", () => {
  for (const { name, rows, run } of faults) {
    it.live(`holds for this library under the fault "${name}"`, () =>
      Effect.gen(function*() {
        // Processes are counted at the moment when the client has closed.
        const place = yield* makePlace(0)
        const cells = yield* Effect.promise(() => run(ours, place))
        assert.deepStrictEqual(cells.map(({ verdict }) => verdict), rows.map(([, good]) => good))
      }).pipe(Effect.scoped))
  }

  it("shows every fault and every client, and the verdicts of this library", () => {
    assert.deepStrictEqual(written.clients, Object.keys(clients))
    assert.deepStrictEqual(written.rows, faults.flatMap(({ rows }) => rows))
  })

  it("has a page with the rows of every fault", () => {
    assert.deepStrictEqual(written.titles, faults.flatMap(({ rows }) => rows.map(([title]) => title)))
  })
})
