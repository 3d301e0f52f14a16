/**
 * What the README says of faults holds for this library, fault by fault, and is of the clients and faults that there are.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { faults } from "./Fault.ts"
import { read } from "./page.ts"
import { peers } from "./peers.ts"
import { run } from "./run.ts"

const [ours = "", ...others] = Object.keys(peers)

// Most of the time is spent waiting.
describe.concurrent("faults", () => {
  const written = read()

  for (const fault of faults) {
    it.live(`${fault.name}: ends well, as the README says`, () =>
      Effect.gen(function*() {
        // What is alive is looked for at the very moment when the client has closed.
        const cells = yield* Effect.promise(() => run({ fault, client: ours, settle: 0 }))
        assert.deepStrictEqual(cells.map(({ verdict }) => verdict), fault.rows.map(({ good }) => good))
        assert.notInclude(cells.map(({ detail }) => detail).join(), "uncaught")
        const titles = fault.rows.map(({ title }) => title)
        const start = written.rows.findIndex(([title]) => title === titles[0])
        assert.deepStrictEqual(
          written.rows.slice(start, start + titles.length),
          fault.rows.map(({ good, title }) => [title, good])
        )
      }))
  }

  it("are in the README, each of them, and no others, on all clients", () => {
    assert.deepStrictEqual(written.clients, [ours, ...others])
    assert.deepStrictEqual(
      written.rows.map(([title]) => title),
      faults.flatMap(({ rows }) => rows.map(({ title }) => title))
    )
  })

  it("are on the page, with what is done", () => {
    assert.deepStrictEqual(
      written.sections,
      faults.map(({ does, name, rows }) => [name, does, rows.map(({ title }) => title)])
    )
  })
})
