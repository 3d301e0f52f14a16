/**
 * The chart in the README: calls per second with 64 in flight, as ratios to the official SDK, one group of bars for each transport.
 */
import type { Peer } from "../test/peers/Peer.ts"
import { type Comparison, inPromises, rowOf, sdkOf, times } from "./figures.ts"

/** Where bars begin, and how long the longest is: its label stands behind it. */
const [width, left, longest] = [800, 130, 600]
const [top, rowHeight, groupGap] = [84, 20, 34]

const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .transport, .ours text { font-weight: 600 }
  rect { fill: #c4ccd4 }
  .ours rect { fill: #0969da }
  line { stroke: #59636e; stroke-opacity: 0.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    rect { fill: #3d444d }
    .ours rect { fill: #4493f8 }
    line { stroke: #9198a1 }
  }
`

const text = (x: number, y: number, content: string, kind = "") =>
  `<text x="${x}" y="${y}"${kind && ` class="${kind}"`}>${content}</text>`

/** Draws the clients in `peers`; the raw client and the Effect API of this library are left out. */
export const chart = (comparisons: ReadonlyArray<Comparison>, peers: ReadonlyArray<Peer>): string => {
  const ratios = (comparison: Comparison) => {
    const base = rowOf(comparison, sdkOf(comparison)).perSecond
    return peers.flatMap(({ name }) =>
      comparison.rows.filter((row) => row.name === name).map(({ perSecond }) => ({ name, ratio: perSecond / base }))
    )
  }
  const scale = longest / Math.max(...comparisons.flatMap((comparison) => ratios(comparison).map(({ ratio }) => ratio)))
  const one = Math.round(left + scale)
  let y = top
  const groups = comparisons.flatMap((comparison) => {
    y += groupGap
    const from = y
    const bars = ratios(comparison).map(({ name, ratio }) => {
      const length = Math.round(ratio * scale)
      const bar = [
        `<g${name === inPromises ? " class=\"ours\"" : ""}>`,
        text(10, y + 14, name, "client"),
        `<rect x="${left}" y="${y + 3}" width="${length}" height="14" rx="2"/>`,
        text(left + length + 6, y + 14, times(ratio)),
        "</g>"
      ]
      y += rowHeight
      return bar.join("")
    })
    return [
      text(left, from - 8, `${comparison.title} (${sdkOf(comparison)} = 1)`, "transport"),
      `<line x1="${one}" y1="${from}" x2="${one}" y2="${y}"/>`,
      ...bars
    ]
  })
  const others = peers.filter(({ name }) => name !== inPromises).map(({ name, version }) => `${name} ${version}`)
  const title = "Calls per second, 64 in flight, relative to the official SDK"
  const height = y + 16
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">`,
    `<style>${style}</style>`,
    text(10, 28, title, "title"),
    text(
      10,
      50,
      "Ratios of medians of short rounds in turn, on one minimal server for each row. Longer is faster.",
      "note"
    ),
    text(10, 68, `${others.join(", ")}; mcp-sessions through its promises.`, "note"),
    ...groups,
    "</svg>",
    ""
  ].join("\n")
}
