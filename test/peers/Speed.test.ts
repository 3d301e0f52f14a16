/**
 * The chart of speed and its tables are of the clients that there are. How fast they are is for `pnpm speed` to say.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { versionOf } from "./page.ts"
import { peers } from "./peers.ts"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

const chart = read("docs/speed.svg")
const [ours, ...others] = Object.keys(peers)

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
  it("is well-formed", () => {
    assert.deepStrictEqual(flawsIn(chart), [])
    assert.match(chart, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /)
    assert.isAbove(flawsIn(chart.replace("</g>", "")).length, 0)
  })

  it("shows each client over each of its transports, in the versions that are installed", async () => {
    const all = await Promise.all(Object.values(peers).map((load) => load()))
    const shown = Array.from(chart.matchAll(/class="client">([^<]*)</g), ([, name]) => name)
    assert.deepStrictEqual(new Set(shown), new Set([ours, ...others]))
    for (const peer of all) {
      // HTTP has two kinds of answers.
      const bars = peer.transports.length + (peer.transports.includes("http") ? 1 : 0)
      assert.strictEqual(shown.filter((name) => name === peer.name).length, bars, peer.name)
      if (peer.name !== ours) assert.include(chart, versionOf(peer))
    }
  })

  it("is in the README, and its numbers on the page", () => {
    assert.include(read("README.md"), "](docs/speed.svg)")
    const page = read("docs/performance.md")
    assert.include(page, "](speed.svg)")
    const ratios = Array.from(chart.matchAll(/>(\d+\.\d\d×)</g), ([, ratio = ""]) => ratio)
    assert.isAbove(ratios.length, 0)
    for (const ratio of ratios) assert.include(page, `${ratio} |`)
  })
})
