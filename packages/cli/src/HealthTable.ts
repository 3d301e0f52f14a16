/**
 * Shows watched servers: as a table that fits a terminal, or a line for each change.
 *
 * @since 0.1.0
 */
import type { WatchedServer } from "@mcp-sessions/core/HealthWatch"
import * as DateTime from "effect/DateTime"
import { envelope } from "./FailureText.ts"
import { firstLine } from "./internal/text.ts"
import type { Output } from "./Output.ts"
import { cut, join, line, name, type Shown, trusted } from "./Shown.ts"
import { padEnd } from "./Table.ts"

const bars = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const

/**
 * Draws times as bars, the longest as the highest; a failure as a cross.
 *
 * **Example** (Drawing the times of pings)
 *
 * ```ts import.meta.vitest
 * import { sparkline } from "@mcp-sessions/cli/HealthTable"
 *
 * sparkline([10, 20, undefined, 80, 40]) // => "▁▂×█▄"
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const sparkline = (latencies: ReadonlyArray<number | undefined>): string => {
  const highest = Math.max(1, ...latencies.map((latency) => latency ?? 0))
  return latencies.map((latency) => {
    if (latency === undefined) return "×"
    return bars[Math.max(0, Math.ceil(latency / highest * bars.length) - 1)] ?? bars[0]
  }).join("")
}

const marks = {
  unknown: ["dim", "…"],
  healthy: ["green", "✓"],
  unhealthy: ["red", "✗"]
} as const

const errorText = ({ lastError }: WatchedServer): string => {
  if (lastError === undefined) return ""
  return lastError._tag === "SessionError"
    ? `${lastError.reason._tag}: ${firstLine(lastError.reason.message)}`
    : lastError.problems.map(({ _tag, description }) => `${_tag}: ${firstLine(description)}`).join("; ")
}

const latencyText = ({ latencies }: WatchedServer): string => {
  const latest = latencies.at(-1)
  return latest === undefined ? "" : latest < 10 ? `${latest.toFixed(1)} ms` : `${Math.round(latest)} ms`
}

const labels = ["", "SERVER", "HEALTH", "STATE", "LATENCY", "HISTORY", "RESTARTS", "LAST ERROR"]

/** The longest name of a server in the table, in columns. */
const nameLimit = 30

const cellsOf = (row: WatchedServer): ReadonlyArray<Shown> => [
  trusted(marks[row.health][1]),
  cut(name(row.name), nameLimit),
  trusted(row.health),
  trusted(row.state),
  trusted(latencyText(row)),
  trusted(sparkline(row.latencies)),
  trusted(String(row.restarts)),
  name(errorText(row))
]

/** Sums up how many servers are healthy. */
const summaryOf = (rows: ReadonlyArray<WatchedServer>): string =>
  `${rows.filter(({ health }) => health === "healthy").length} of ${rows.length} healthy`

/**
 * Formats rows as a table that fits into a terminal, with a title. Servers that have no room are counted in the last line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const lines = ({ height, interval, rows, style, width }: {
  readonly rows: ReadonlyArray<WatchedServer>
  readonly interval: string
  readonly width: number
  readonly height: number
  readonly style: Output["Service"]["style"]
}): ReadonlyArray<Shown> => {
  // The title, an empty line and the labels come first.
  const room = Math.max(1, height - 3)
  const shown = rows.length <= room ? rows : rows.slice(0, Math.max(0, room - 1))
  const hidden = rows.slice(shown.length)
  const cells = [labels.map((label) => trusted(label)), ...shown.map(cellsOf)]
  const widths = labels.map((_, index) => Math.max(...cells.map((row) => row[index]?.width ?? 0)))
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const format = (...[row, paint]: readonly [ReadonlyArray<Shown>, (cell: Shown, index: number) => Shown]): Shown =>
    join(
      row.map((cell, index) =>
        index === labels.length - 1
          ? paint(cut(cell, Math.max(0, width - before)), index)
          : padEnd(paint(cell, index), widths[index] ?? 0)
      ),
      "  "
    )
  const title = line`${style("bold", "mcp-sessions check")}  ${summaryOf(rows)}  ${
    style("dim", `every ${interval}; Ctrl+C ends`)
  }`
  const table = cells.map((row, index) => {
    const server = shown[index - 1]
    if (server === undefined) return format(row, (cell) => style("dim", cell))
    const [colour] = marks[server.health]
    const isBad = server.health === "unhealthy"
    return format(row, (cell, column) =>
      column === 1
        ? style("bold", cell)
        : column === 0 || column === 2 || (column === labels.length - 1 && isBad)
        ? style(colour, cell)
        : column === labels.length - 1
        ? style("dim", cell)
        : cell)
  })
  const more = hidden.length === 0 ? [] : [line`… and ${hidden.length} more, ${summaryOf(hidden)}`]
  return [title, trusted(""), ...table, ...more]
}

const errorTag = ({ lastError }: WatchedServer): string | undefined =>
  lastError?._tag === "SessionError" ? lastError.reason._tag : lastError?._tag

const isReady = ({ state }: WatchedServer): boolean => state === "ready"

/**
 * Whether a change is worth a line: another health, number of restarts or error, or the beginning or end of a connection. The time of a ping is
 * not, nor is another attempt to connect.
 *
 * @category guards
 * @since 0.1.0
 */
export const isNotable = ({ before, row }: { readonly before: WatchedServer; readonly row: WatchedServer }): boolean =>
  row.health !== "unknown" &&
  (row.health !== before.health || isReady(row) !== isReady(before) || row.restarts !== before.restarts ||
    errorTag(row) !== errorTag(before))

/**
 * Formats a change as a line. `now` is in milliseconds since the epoch.
 *
 * @category rendering
 * @since 0.1.0
 */
export const changeLine = ({ now, row }: { readonly row: WatchedServer; readonly now: number }): Shown => {
  const found = row.health === "healthy" ? latencyText(row) : errorText(row)
  return join(
    [DateTime.formatIso(DateTime.makeUnsafe(now)), row.name, row.health, row.state, found].filter((text) => text !== "")
      .map(name),
    "  "
  )
}

/**
 * Converts a change to the JSON that `check --watch --json` prints. `now` is in milliseconds since the epoch.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toJson = (
  { now, row }: { readonly row: WatchedServer; readonly now: number }
): Record<string, unknown> => ({
  schema: "mcp-sessions/1",
  time: now,
  server: row.name,
  health: row.health,
  state: row.state,
  latencyMs: row.latencies.at(-1) ?? null,
  restarts: row.restarts,
  lastError: row.lastError === undefined ? null : envelope(row.lastError)
})
