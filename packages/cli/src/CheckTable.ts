/**
 * Prints the check as a table: a row for each server as soon as its check ends, and the names of the pending servers.
 *
 * @since 0.1.0
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import { check, type Row } from "./Check.ts"
import type { ConfiguredServer } from "./ConfigFiles.ts"
import { lines } from "./Failure.ts"
import { textOf } from "./internal/text.ts"
import { Output, type OutputClosed } from "./Output.ts"
import { join, line, name } from "./Shown.ts"
import { padEnd, seconds } from "./Table.ts"

const marks = {
  healthy: ["green", "✓"],
  unhealthy: ["red", "✗"],
  disabled: ["dim", "–"],
  auth_required: ["yellow", "!"],
  timed_out: ["red", "✗"]
} as const

/**
 * Checks all servers concurrently. With `show`, prints each row when its check ends, and the names of the pending servers.
 *
 * @category checks
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function*(options: {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly show: boolean
}): Effect.fn.Return<ReadonlyArray<Row>, OutputClosed, Sessions | Output> {
  const { servers, show } = options
  const output = yield* Output
  const pending = new Set(servers.map(({ name }) => name))
  const progress = Effect.suspend(() =>
    show
      ? output.progress(pending.size === 0 ? undefined : line`connecting to ${[...pending].join(", ")} …`)
      : Effect.void
  )
  const nameWidth = Math.max(0, ...servers.map((server) => name(server.name).width))
  const kindWidth = Math.max(0, ...servers.map(({ config }) => config.transport.length))

  const print = Effect.fnUntraced(function*(row: Row) {
    const [colour, mark] = marks[row.state]
    const head = line`${output.style(colour, mark)} ${padEnd(output.style("bold", row.name), nameWidth)}  ${
      padEnd(name(row.transport), kindWidth)
    }`
    if (row.info !== undefined && row.latency !== undefined) {
      const { era, implementation, protocolVersion } = row.info
      const named = [implementation?.name, implementation?.version].map(textOf).filter((text) => text !== undefined)
      const cells = [
        head,
        name(seconds(row.latency.connect + row.latency.ping + row.latency.list)),
        name(`${String(row.tools ?? 0).padStart(3)} tools`),
        output.style("dim", [protocolVersion, era, ...(named.length === 0 ? [] : ["", ...named])].join(" "))
      ]
      const warnings = row.info.warnings.map((warning) => line`    ${output.style("yellow", warning)}`)
      return yield* output.print(join([join(cells, "  "), ...warnings], "\n"))
    }
    const [first = name(row.state), ...rest] = row.error === undefined ? [] : lines(row.error)
    // One write: other checks print their rows concurrently.
    yield* output.print(join([
      line`${head}  ${output.style(colour, first)}`,
      ...rest.map((text) => line`    ${output.style("dim", text)}`)
    ], "\n"))
  })

  yield* progress
  return yield* Effect.forEach(servers, (server) =>
    check(server).pipe(
      Effect.tap((row) => {
        pending.delete(server.name)
        return show ? Effect.andThen(print(row), progress) : Effect.void
      })
    ), { concurrency: "unbounded" })
})
