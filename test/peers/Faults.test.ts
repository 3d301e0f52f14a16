/**
 * Our own column of the fault table is right, and the table has all faults and clients. Other clients are run by `pnpm faults`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { faults } from "./Fault.ts"
import { read } from "./page.ts"
import { peers } from "./peers.ts"
import { run } from "./run.ts"

const [ours = "", ...others] = Object.keys(peers)
const written = read()

describe.concurrent("the fault table", () => {
  for (const fault of faults) {
    it.live(`holds for this library under the fault "${fault.name}"`, () =>
      Effect.gen(function*() {
        // Processes are counted at the moment when the client has closed.
        const cells = yield* Effect.promise(() => run({ fault, client: ours, settle: 0 }))
        assert.deepStrictEqual(cells.map(({ verdict }) => verdict), fault.rows.map(([, good]) => good))
        assert.notInclude(cells.map(({ detail }) => detail).join(), "uncaught")
      }))
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
