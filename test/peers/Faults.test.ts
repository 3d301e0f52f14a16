/**
 * Our own column of the fault table is right, and the table has all faults and clients. Other clients are run by `pnpm faults`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { peer } from "./clients/mcpSessions.ts"
import { faults } from "./Fault.ts"
import { read } from "./page.ts"
import { peers } from "./peers.ts"
import { clear, makeDirectory, placeOf } from "./Servers.ts"

const [ours = "", ...others] = Object.keys(peers)
const written = read()

describe.concurrent("the fault table", () => {
  for (const fault of faults) {
    it.live(`holds for this library under the fault "${fault.name}"`, () =>
      Effect.gen(function*() {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(makeDirectory),
          (directory) => Effect.sync(() => clear(directory))
        )
        // Processes are counted at the moment when the client has closed.
        const cells = yield* Effect.promise(() => fault.run(peer, placeOf(directory, 0)))
        assert.deepStrictEqual(cells.map(({ verdict }) => verdict), fault.rows.map(([, good]) => good))
      }).pipe(Effect.scoped))
  }

  it("shows every fault and every client, and the verdicts of this library", () => {
    assert.deepStrictEqual(written.clients, [ours, ...others])
    assert.deepStrictEqual(written.rows, faults.flatMap(({ rows }) => rows))
  })

  it("has a page that says what each fault does", () => {
    assert.deepStrictEqual(
      written.sections.map(([name, , titles]) => [name, titles]),
      faults.map(({ name, rows }) => [name, rows.map(([title]) => title)])
    )
  })
})
