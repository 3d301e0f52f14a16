/**
 * Sparkline: the times of the latest pings as bars. A failed ping is a mark at the bottom in another colour.
 */
import { historyLimit } from "@mcp-sessions/core/HealthWatch"
import { svg } from "./dom.ts"

const width = 4
const height = 20

const millis = (latency: number): string => latency < 10 ? `${latency.toFixed(1)} ms` : `${Math.round(latency)} ms`

/** The latest ping. */
export const latest = (latencies: ReadonlyArray<number | null>): string => {
  const one = latencies.at(-1)
  return one === undefined ? "" : one === null ? "failed" : millis(one)
}

/** Describes the bars in words. */
const describe = (latencies: ReadonlyArray<number | null>): string => {
  if (latencies.length === 0) return "no ping yet"
  const failed = latencies.filter((latency) => latency === null).length
  const lost = failed === 0 ? "" : `, ${failed} of ${latencies.length} failed`
  return `latest ping: ${latest(latencies)}${lost}`
}

export const draw = (latencies: ReadonlyArray<number | null>): SVGElement => {
  const highest = Math.max(1, ...latencies.map((latency) => latency ?? 0))
  const drawn = svg("svg", {
    class: "sparkline",
    viewBox: `0 0 ${historyLimit * (width + 1)} ${height}`,
    role: "img",
    "aria-label": describe(latencies)
  })
  for (const [index, latency] of latencies.slice(-historyLimit).entries()) {
    const bar = latency === null ? 4 : Math.max(2, Math.round(latency / highest * height))
    drawn.append(svg("rect", {
      x: index * (width + 1),
      y: height - bar,
      width,
      height: bar,
      class: latency === null ? "failed" : "answered"
    }))
  }
  return drawn
}
