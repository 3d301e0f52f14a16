/**
 * What comparisons look like in Markdown: a table of each, what came of the targets, and their place in
 * `docs/performance.md`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { Row } from "./harness.ts"

const page = new URL("../docs/performance.md", import.meta.url)
const [begin, end] = ["<!-- speed:begin -->", "<!-- speed:end -->"]

/** Of all who have one transport. */
export interface Comparison {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const ours = "mcp-sessions"
export const oursInEffect = `${ours}, Effect`

export const rowOf = ({ rows, title }: Comparison, name: string): Row => {
  const row = rows.find((row) => row.name === name)
  if (row === undefined) throw new Error(`${title} was not measured for ${name}`)
  return row
}

/** Who the others are compared with: SDK v2 has no WebSocket, v1 has one. */
export const baseOf = ({ rows }: Comparison): string => rows.some(({ name }) => name === "SDK v2") ? "SDK v2" : "SDK v1"

export const times = (ratio: number): string => `${ratio.toFixed(2)}×`

const grouped = (value: number): string => Math.round(value).toLocaleString("en-US")

export const table = (comparison: Comparison): string => {
  const { rows, title } = comparison
  const base = baseOf(comparison)
  const raw = rowOf(comparison, "raw")
  const sdk = rowOf(comparison, base)
  return [
    `| ${title} | µs per call | to raw | to ${base} | calls/s, 64 in flight | to raw | to ${base} |`,
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(({ micros, name, perSecond }) =>
      `| ${
        [
          name,
          micros.toFixed(1),
          times(micros / raw.micros),
          times(micros / sdk.micros),
          grouped(perSecond),
          times(perSecond / raw.perSecond),
          times(perSecond / sdk.perSecond)
        ].join(" | ")
      } |`
    )
  ].join("\n")
}

interface Target {
  readonly title: string
  readonly limit: string
  readonly comparison: string
  readonly measure: (row: Row, others: Comparison) => number
  readonly isMet: (ratio: number) => boolean
}

const slowdown = (row: Row, others: Comparison): number => row.micros / rowOf(others, "raw").micros

/** To the best of others, all of which use `fetch` over HTTP. */
const speedup = (row: Row, { rows }: Comparison): number =>
  row.perSecond / Math.max(
    ...rows.filter(({ name }) => name !== "raw" && !name.startsWith(ours)).map(({ perSecond }) => perSecond)
  )

const ofHttp = (comparison: string): ReadonlyArray<Target> => [
  {
    title: "one call after another",
    limit: "at most 1.5× raw",
    comparison,
    measure: slowdown,
    isMet: (ratio) => ratio <= 1.5
  },
  {
    title: "64 in flight",
    limit: "at least 2.5× any client on `fetch`",
    comparison,
    measure: speedup,
    isMet: (ratio) => ratio >= 2.5
  }
]

const all: ReadonlyArray<Target> = [
  {
    title: "one call after another",
    limit: "at most 1.4× raw",
    comparison: "stdio",
    measure: slowdown,
    isMet: (ratio) => ratio <= 1.4
  },
  {
    title: "64 in flight",
    limit: "at least 2× SDK v2",
    comparison: "stdio",
    measure: (row, others) => row.perSecond / rowOf(others, "SDK v2").perSecond,
    isMet: (ratio) => ratio >= 2
  },
  ...ofHttp("HTTP, JSON answers"),
  ...ofHttp("HTTP, SSE answers")
]

export const targets = (comparisons: ReadonlyArray<Comparison>): string =>
  [
    "| target | limit | in Effect | in promises |",
    "| --- | --- | --- | --- |",
    ...all.map(({ comparison: of, isMet, limit, measure, title }) => {
      const comparison = comparisons.find(({ title }) => title === of)
      if (comparison === undefined) throw new Error(`${of} was not measured`)
      const cell = (name: string) => {
        const ratio = measure(rowOf(comparison, name), comparison)
        return `${times(ratio)} ${isMet(ratio) ? "met" : "missed"}`
      }
      return `| ${of}, ${title} | ${limit} | ${cell(oursInEffect)} | ${cell(ours)} |`
    })
  ].join("\n")

export const write = (comparisons: ReadonlyArray<Comparison>): void => {
  const [before, rest = ""] = readFileSync(page, "utf8").split(begin)
  const after = rest.split(end)[1]
  if (after === undefined) throw new Error("docs/performance.md has no place for the tables")
  const tables = [...comparisons.map(table), targets(comparisons)].join("\n\n")
  writeFileSync(page, `${before}${begin}\n\n${tables}\n\n${end}${after}`)
}
