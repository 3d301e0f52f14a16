/**
 * Prints the results of checks: a table in the order of the configuration, then each failure in full, then how many servers are healthy.
 *
 * @since 0.1.0
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import * as AdHoc from "./AdHoc.ts"
import { check, type Row } from "./Check.ts"
import type { ConfiguredServer } from "./Configured.ts"
import { lines } from "./FailureText.ts"
import { firstLine, textOf } from "./internal/text.ts"
import { gatherUntrusted } from "./internal/untrusted.ts"
import type { Invocation } from "./Invocation.ts"
import { Output, type OutputClosed } from "./Output.ts"
import { cut, line, name, type Shown, trusted } from "./Shown.ts"
import { columns, seconds } from "./Table.ts"

const marks = {
  healthy: ["green", "✓"],
  unhealthy: ["red", "✗"],
  disabled: ["dim", "–"],
  auth_required: ["yellow", "!"],
  timed_out: ["red", "✗"]
} as const

/** How many names of pending servers the progress line holds. */
const pendingLimit = 3

/**
 * Checks all servers concurrently. With `show`, a terminal shows how many are done, and names of those that are not.
 *
 * @category checks
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function*(options: {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly show: boolean
}): Effect.fn.Return<ReadonlyArray<Row>, never, Sessions | Output | Invocation> {
  const { servers, show } = options
  const { progress } = yield* Output
  const pending = new Set(servers.map(({ name }) => name))
  const showPending = Effect.suspend(() => {
    if (!show || pending.size === 0) return progress(undefined)
    const names = [...pending].slice(0, pendingLimit).join(", ")
    const more = pending.size > pendingLimit ? ", …" : ""
    return progress(line`checked ${servers.length - pending.size} of ${servers.length}; waiting for ${names}${more}`)
  })
  yield* showPending
  return yield* Effect.forEach(servers, (server) =>
    Effect.tap(check(server), () => {
      pending.delete(server.name)
      return showPending
    }), { concurrency: "unbounded" })
})

/** Says in a few words what a check found. The failure follows the table in full. */
const finding = ({ error, info, state }: Row): string => {
  if (info !== undefined) {
    const { era, implementation, protocolVersion } = info
    const named = [implementation?.name, implementation?.version].map(textOf).filter((text) => text !== undefined)
    return [protocolVersion, era, ...named].join(" ")
  }
  if (error === undefined) return state
  return error._tag === "SessionError"
    ? `${error.reason._tag}: ${firstLine(error.reason.message)}`
    : error.problems.map(({ _tag, description }) => `${_tag}: ${firstLine(description)}`).join("; ")
}

/** How much of a failure is in its row, in columns. */
const findingLimit = 60

const cellsOf = (row: Row, { style }: Output["Service"]): ReadonlyArray<Shown> => {
  const [colour, mark] = marks[row.state]
  const { latency } = row
  return [
    style(colour, mark),
    style("bold", row.name),
    name(row.transport),
    name(latency === undefined ? "" : seconds(latency.connect + latency.ping + latency.list)),
    name(row.tools === undefined ? "" : String(row.tools).padStart("TOOLS".length)),
    row.error === undefined
      ? style("dim", finding(row))
      : style(colour, cut(name(finding(row)), findingLimit))
  ]
}

/** Sums the table up: how many of the checked servers are healthy, and the names of the disabled ones. */
const summary = (rows: ReadonlyArray<Row>): Shown => {
  const checked = rows.filter(({ state }) => state !== "disabled")
  const disabled = rows.filter(({ state }) => state === "disabled").map(({ name }) => name)
  const healthy = checked.filter(({ isHealthy }) => isHealthy).length
  const rest = disabled.length === 0 ? "" : `; ${disabled.length} disabled: ${disabled.join(", ")}`
  return line`${healthy} of ${checked.length} healthy${rest}`
}

/**
 * Prints rows as a table with labels, the failures and warnings below it, and a summary at the end.
 *
 * @category rendering
 * @since 0.1.0
 */
export const print = Effect.fnUntraced(
  function*(rows: ReadonlyArray<Row>): Effect.fn.Return<void, OutputClosed, Output> {
    const output = yield* Output
    const labels = ["", "SERVER", "TRANSPORT", "TIME", "TOOLS", "RESULT"].map((label) => output.style("dim", label))
    yield* Effect.forEach(columns([labels, ...rows.map((row) => cellsOf(row, output))]), output.print, {
      discard: true
    })
    const errors = gatherUntrusted(rows.map(({ error }) => error))
    for (const [index, { info, name, source, state }] of rows.entries()) {
      const error = errors[index]
      const [first, ...rest] = error === undefined ? [] : lines(error, { isDescribed: source === AdHoc.source })
      const colour = marks[state][0]
      const warnings = info?.warnings.map((text) => output.style("yellow", line`warning ${name}: ${text}`)) ?? []
      const found = first === undefined ? warnings : [output.style(colour, first), ...rest, ...warnings]
      if (found.length > 0) yield* output.print(trusted(""))
      yield* Effect.forEach(found, output.print, { discard: true })
    }
    yield* output.print(trusted(""))
    yield* output.print(summary(rows))
  }
)
