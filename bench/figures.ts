/**
 * What is made of measured rows: the table of a comparison.
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

/** Limits of the ratios to raw: of the time at most, of the throughput at least, of the CPU time at most. */
const limits: Readonly<Record<string, readonly [micros: number, perSecond: number, cpu?: number]>> = {
  stdio: [1.25, 1.05, 1.05],
  "HTTP, JSON": [1.03, 1],
  "HTTP, SSE": [1.03, 1],
  WebSocket: [1.03, 1],
  "stdio, modern": [1.25, 0.9],
  "HTTP, modern": [1.05, 0.95]
}

/** The official client that the others are compared with: SDK v2, or v1 over WebSocket, which v2 lacks. */
export const sdkOf = ({ rows, title }: Comparison): Row => {
  const sdk = rows.find(({ name }) => name === "SDK v2") ?? rows.find(({ name }) => name === "SDK v1")
  if (sdk === undefined) throw new Error(`${title} was not measured for an SDK`)
  return sdk
}

export const times = (ratio: number): string => `${ratio.toFixed(2)}×`

export const tableOf = (comparison: Comparison): string => {
  const { rows: [base, ...rows], title } = comparison
  const sdk = sdkOf(comparison)
  const [maxMicros = 0, minPerSecond = 0, maxCpu] = limits[title] ?? []
  const limited = (limit: string, of: number | undefined) =>
    of === undefined ? "to raw" : `to raw, ${limit} ${times(of)}`
  if (base?.name !== raw) throw new Error(`${title} was not measured for the raw client`)
  return table(
    [
      title,
      "µs per call",
      limited("at most", maxMicros),
      "calls/s, 64 in flight",
      limited("at least", minPerSecond),
      `to ${sdk.name}`,
      "client CPU µs per call",
      limited("at most", maxCpu)
    ],
    [base, ...rows].map(({ cpu, micros, name, perSecond }) => {
      const toRaw = (ratio: number, isMissed: boolean): string =>
        `${times(ratio)}${isMissed && (name === inEffect || name === inPromises) ? " missed" : ""}`
      return [
        name,
        micros.toFixed(1),
        toRaw(micros / base.micros, micros / base.micros > maxMicros),
        Math.round(perSecond).toLocaleString("en-US"),
        toRaw(perSecond / base.perSecond, perSecond / base.perSecond < minPerSecond),
        times(perSecond / sdk.perSecond),
        cpu.toFixed(1),
        toRaw(cpu / base.cpu, cpu / base.cpu > (maxCpu ?? Number.POSITIVE_INFINITY))
      ]
    }),
    "right"
  )
}
