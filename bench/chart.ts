/**
 * The chart in the README: calls per second at 64 in flight as ratios to the SDK, a group of bars for each transport.
 */
import type { Peer } from "@mcp-sessions/peers/Peer.ts"
import { baseOf, type Comparison, ours, rowOf, times } from "./tables.ts"

const width = 800
/** Where bars begin, and how long the longest may be: its label comes behind it. */
const [left, longest] = [130, 600]
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

/** A text with its baseline at `y`. */
const text = (x: number, y: number, content: string, kind = "") =>
  `<text x="${x}" y="${y}"${kind && ` class="${kind}"`}>${content}</text>`

export const chart = (comparisons: ReadonlyArray<Comparison>, peers: ReadonlyArray<Peer>): string => {
  // The raw client is no client, and the Effect API is no other client.
  const groups = comparisons.map((comparison) => {
    const base = rowOf(comparison, baseOf(comparison))
    const bars = peers.flatMap(({ name }) =>
      comparison.rows.filter((row) => row.name === name).map(({ perSecond }) => ({
        name,
        ratio: perSecond / base.perSecond
      }))
    )
    return { title: `${comparison.title} (${base.name} = 1)`, bars }
  })
  const scale = longest / Math.max(...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)))
  const one = Math.round(left + scale)
  let y = top
  const drawn = groups.flatMap(({ bars, title }) => {
    y += groupGap
    const heading = text(left, y - 8, title, "transport")
    const from = y
    const rows = bars.map(({ name, ratio }) => {
      const length = Math.round(ratio * scale)
      const row = `<g${name === ours ? " class=\"ours\"" : ""}>${
        text(10, y + 14, name, "client")
      }<rect x="${left}" y="${y + 3}" width="${length}" height="14" rx="2"/>${
        text(left + length + 6, y + 14, times(ratio))
      }</g>`
      y += rowHeight
      return row
    })
    // Under the bars and their labels.
    return [heading, `<line x1="${one}" y1="${from}" x2="${one}" y2="${y}"/>`, ...rows]
  })
  const others = peers.filter(({ name }) => name !== ours).map(({ name, version }) => `${name} ${version}`)
  const title = "Calls per second, 64 in flight, relative to the official SDK"
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 16}" viewBox="0 0 ${width} ${
      y + 16
    }" role="img" aria-label="${title}">`,
    `<style>${style}</style>`,
    text(10, 28, title, "title"),
    text(
      10,
      50,
      "Ratios of medians of short rounds in turn, on one minimal server for each transport. Longer is faster.",
      "note"
    ),
    text(10, 68, `${others.join(", ")}; mcp-sessions through its promises.`, "note"),
    ...drawn,
    "</svg>",
    ""
  ].join("\n")
}
