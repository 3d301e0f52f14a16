/**
 * The table of the clients of a gateway. What they can do is tried by `pnpm clients:gateway`.
 */
import { assert, describe, it } from "@effect/vitest"
import { clientsAtGateway, read } from "./page.ts"

describe("the clients that used a gateway", () => {
  const rows = read()

  it("are on the page in the order of the list", () => {
    assert.deepStrictEqual(rows.map(([name]) => name), clientsAtGateway.map(({ name }) => name))
  })

  it("list tools, call them, read resources, and receive the progress that they offer", () => {
    for (const [name, , , lists, calls, progress = "", reads] of rows) {
      assert.deepStrictEqual([lists, calls, reads], ["yes", "yes", "yes"], name)
      assert.include(["yes", "not offered"], progress, name)
    }
  })
})
