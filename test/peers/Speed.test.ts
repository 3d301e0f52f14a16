/**
 * The chart and the tables of speed agree, and show all clients. The figures come from `pnpm speed`.
 */
import { assert, describe, it } from "@effect/vitest"
import { read, region } from "../../tools/markdown.ts"
import { peers } from "./peers.ts"

const chart = read("docs/speed.svg")

/** The elements that are open at the end of a document, and what does not belong in one. */
const flawsIn = (xml: string): ReadonlyArray<string> => {
  const open: Array<string> = []
  const strays = xml.replaceAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<&]*")*)\s*(\/?)>/g,
    (tag, end: string, name: string, _: string, empty: string) => {
      if (end === "" && empty === "") open.push(name)
      return end === "" || open.pop() === name ? "" : tag
    }
  )
  return [...open, ...(strays.match(/[<&]/g) ?? [])]
}

describe("the chart of speed", () => {
  it("is well-formed XML and stands in the README", () => {
    assert.deepStrictEqual(flawsIn(chart), [])
    assert.isAbove(flawsIn(chart.replace("</g>", "")).length, 0)
    assert.include(read("README.md"), "](docs/speed.svg)")
  })

  it("shows every client, with ratios that are in the tables", () => {
    const shown = Array.from(chart.matchAll(/class="client">([^<]*)</g), ([, name = ""]) => name)
    assert.deepStrictEqual(new Set(shown), new Set(Object.keys(peers)))
    const ratios = Array.from(chart.matchAll(/>(\d+\.\d\d×)</g), ([, ratio = ""]) => ratio)
    assert.strictEqual(ratios.length, shown.length)
    const tables = region("docs/performance.md", "speed")
    for (const ratio of ratios) assert.include(tables, `${ratio} |`)
  })
})
