/**
 * The chart and the tables of speed agree, and show all clients. The figures come from `pnpm speed`.
 */
import { assert, describe, it } from "@effect/vitest"
import { read, region } from "../../tools/markdown.ts"
import { clients } from "./allClients.ts"

const chart = read("docs/speed.svg")

describe("the chart of speed", () => {
  it("shows every client, with ratios that are in the tables", () => {
    const shown = Array.from(chart.matchAll(/class="client">([^<]*)</g), ([, name = ""]) => name)
    assert.deepStrictEqual(new Set(shown), new Set(Object.keys(clients)))
    const ratios = Array.from(chart.matchAll(/>(\d+\.\d\d×)</g), ([, ratio = ""]) => ratio)
    assert.strictEqual(ratios.length, shown.length)
    const tables = region("docs/performance.md", "speed")
    for (const ratio of ratios) assert.include(tables, `${ratio} |`)
  })
})
