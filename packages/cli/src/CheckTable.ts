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
import { Output, type OutputClosed } from "./Output.ts"
import { seconds } from "./Table.ts"

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
    show ? output.progress(pending.size === 0 ? "" : `connecting to ${[...pending].join(", ")} …`) : Effect.void
  )
  const nameWidth = Math.max(0, ...servers.map(({ name }) => name.length))
  const kindWidth = Math.max(0, ...servers.map(({ config }) => config.transport.length))

  const print = Effect.fnUntraced(function*(row: Row) {
    const [colour, mark] = marks[row.state]
    const head = `${output.style(colour, mark)} ${output.style("bold", row.name.padEnd(nameWidth))}  ${
      row.transport.padEnd(kindWidth)
    }`
    if (row.info !== undefined && row.latency !== undefined) {
      const { era, implementation, protocolVersion } = row.info
      const named = implementation === undefined
        ? ""
        : output.sanitize(`${implementation.name} ${implementation.version}`)
      const line = [
        head,
        seconds(row.latency.connect + row.latency.ping + row.latency.list),
        `${String(row.tools ?? 0).padStart(3)} tools`,
        output.style("dim", `${protocolVersion} ${era}  ${named}`)
      ].join("  ").trimEnd()
      const warnings = row.info.warnings.map((warning) => `    ${output.style("yellow", output.sanitize(warning))}`)
      return yield* output.print([line, ...warnings].join("\n"))
    }
    const [first = row.state, ...rest] = row.error === undefined ? [] : lines(row.error)
    // One write: other checks print their rows concurrently.
    yield* output.print([
      `${head}  ${output.style(colour, output.sanitize(first))}`,
      ...rest.map((line) => `    ${output.style("dim", output.sanitize(line))}`)
    ].join("\n"))
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
