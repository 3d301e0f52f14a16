/**
 * Telemetry of servers that come and go.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Metric } from "effect"
import { telemetryOf } from "../../../packages/core/src/internal/telemetry/serverTelemetry.ts"

describe("the telemetry of a server", () => {
  it.effect("is kept while it is used, and forgotten after a thousand other servers otherwise", () => {
    const context = Context.make(Metric.MetricRegistry, new Map())
    const servers = () =>
      Metric.snapshotUnsafe(context).flatMap(({ attributes, id }) =>
        id === "mcp_sessions_operations_total" ? [attributes?.["mcp.server"]] : []
      )
    return Effect.gen(function*() {
      const used = telemetryOf("used", context)
      yield* used.measure("inFlight", () => 0)
      for (const telemetry of [used, telemetryOf("unused", context)]) telemetry.count("operations")
      for (let n = 0; n < 998; n++) telemetryOf(`server ${n}`, context).count("operations")
      assert.includeMembers(servers(), ["used", "unused"])
      telemetryOf("one more", context).count("operations")
      assert.notInclude(servers(), "unused")
      assert.include(servers(), "used")
      assert.strictEqual(servers().length, 1000)
      assert.strictEqual(telemetryOf("used", context), used)
    }).pipe(Effect.scoped)
  })
})
