/**
 * What is made of measured rows: the table of a comparison, and the figures that have a limit.
 */
import { table } from "../tools/markdown.ts"

export interface Row {
  readonly name: string
  /** Of a call when calls are made one after another. */
  readonly micros: number
  /** Calls with 64 in flight. */
  readonly perSecond: number
  /** CPU time of the client for each of these, in µs. */
  readonly cpu: number
}

/** The clients of one transport in one era. */
export interface Comparison {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const [raw, inEffect, inPromises] = ["raw", "mcp-sessions, Effect", "mcp-sessions"] as const

export const rowOf = ({ rows, title }: Comparison, name: string): Row => {
  const row = rows.find((row) => row.name === name)
  if (row === undefined) throw new Error(`${title} was not measured for ${name}`)
  return row
}

/** The official client that the others are compared with: SDK v2, or v1 over WebSocket, which v2 lacks. */
export const sdkOf = ({ rows }: Comparison): string => rows.some(({ name }) => name === "SDK v2") ? "SDK v2" : "SDK v1"

export const times = (ratio: number): string => `${ratio.toFixed(2)}×`

const measures = {
  "one after another": ({ micros }: Row) => micros,
  "64 in flight": ({ perSecond }: Row) => perSecond,
  "64 in flight, client CPU per call": ({ cpu }: Row) => cpu
}
type Measure = keyof typeof measures

export const tableOf = (comparison: Comparison): string => {
  const { rows, title } = comparison
  const [base, sdk] = [rowOf(comparison, raw), rowOf(comparison, sdkOf(comparison))]
  return table(
    [
      title,
      "µs per call",
      "to raw",
      "calls/s, 64 in flight",
      "to raw",
      `to ${sdk.name}`,
      "client CPU µs per call",
      "to raw"
    ],
    rows.map(({ cpu, micros, name, perSecond }) => [
      name,
      micros.toFixed(1),
      times(micros / base.micros),
      Math.round(perSecond).toLocaleString("en-US"),
      times(perSecond / base.perSecond),
      times(perSecond / sdk.perSecond),
      cpu.toFixed(1),
      times(cpu / base.cpu)
    ]),
    "right"
  )
}

/** Ratios to raw. Throughput is to reach its limit, time and CPU are to stay below it. */
const limits: ReadonlyArray<readonly [title: string, measure: Measure, effect: number, promises: number]> = [
  ["stdio", "64 in flight", 1.05, 1.05],
  ["stdio", "64 in flight, client CPU per call", 1.05, 1.05],
  ["stdio", "one after another", 1.25, 1.2],
  ["WebSocket", "one after another", 1.03, 1.03],
  ["WebSocket", "64 in flight", 1, 1],
  ["HTTP, JSON", "one after another", 1.03, 1.03],
  ["HTTP, JSON", "64 in flight", 1, 1],
  ["HTTP, SSE", "one after another", 1.03, 1.03],
  ["HTTP, SSE", "64 in flight", 1, 1],
  ["HTTP, modern", "one after another", 1.05, 1.05],
  ["HTTP, modern", "64 in flight", 0.95, 0.95],
  ["stdio, modern", "one after another", 1.25, 1.25],
  ["stdio, modern", "64 in flight", 0.9, 0.9]
]

export const figures = (comparisons: ReadonlyArray<Comparison>): ReadonlyArray<ReadonlyArray<string>> =>
  limits.flatMap(([title, measure, effect, promises]) => {
    const comparison = comparisons.find((comparison) => comparison.title === title)
    if (comparison === undefined) return []
    const isFloor = measure === "64 in flight"
    const of = measures[measure]
    const cell = (name: string, limit: number) => {
      const ratio = of(rowOf(comparison, name)) / of(rowOf(comparison, raw))
      return `${times(ratio)} ${(isFloor ? ratio >= limit : ratio <= limit) ? "met" : "missed"}`
    }
    const limit = effect === promises ? times(effect) : `${times(effect)} / ${times(promises)}`
    return [[
      `${title}, ${measure}`,
      `${isFloor ? "at least" : "at most"} ${limit}`,
      cell(inEffect, effect),
      cell(inPromises, promises)
    ]]
  })
