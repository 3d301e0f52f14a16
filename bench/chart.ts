/**
 * The chart in the README: calls per second with 64 in flight, as ratios to the official SDK, one group of bars for each transport.
 */
import { others } from "../test/otherClients/allClients.ts"
import { type Comparison, inEffect, inPromises, raw, sdkOf, times } from "./figures.ts"

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

/** Draws all clients but the raw client and the Effect API of this library. */
export const chart = (comparisons: ReadonlyArray<Comparison>): string => {
  const groups = comparisons.map((comparison) => {
    const sdk = sdkOf(comparison)
    const rows = comparison.rows.filter(({ name }) => name !== raw && name !== inEffect)
    return {
      title: `${comparison.title} (${sdk.name} = 1)`,
      bars: rows.map(({ name, perSecond }) => ({ name, ratio: perSecond / sdk.perSecond }))
    }
  })
  const scale = longest / Math.max(...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)))
  const one = Math.round(left + scale)
  let y = top
  const drawn = groups.flatMap(({ bars, title }) => {
    y += groupGap
    const lines = bars.map(({ name, ratio }, index) => {
      const [at, length] = [y + index * rowHeight, Math.round(ratio * scale)]
      const label = text(10, at + 14, name, "client")
      const bar = `<rect x="${left}" y="${at + 3}" width="${length}" height="14" rx="2"/>`
      const figure = text(left + length + 6, at + 14, times(ratio))
      return `<g${name === inPromises ? " class=\"ours\"" : ""}>${label}${bar}${figure}</g>`
    })
    const from = y
    y += bars.length * rowHeight
    const line = `<line x1="${one}" y1="${from}" x2="${one}" y2="${y}"/>`
    return [text(left, from - 8, title, "transport"), line, ...lines]
  })
  const versions = others().map(([name, , version]) => `${name} ${version}`)
  const title = "Calls per second, 64 in flight, relative to the official SDK"
  const how = "Ratios of medians of short rounds in turn, on one minimal server for each row. Longer is faster."
  const size = `width="${width}" height="${y + 16}" viewBox="0 0 ${width} ${y + 16}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${title}">`,
    `<style>${style}</style>`,
    text(10, 28, title, "title"),
    text(10, 50, how, "note"),
    text(10, 68, `${versions.join(", ")}; mcp-sessions through its promises.`, "note"),
    ...drawn,
    "</svg>",
    ""
  ].join("\n")
}
