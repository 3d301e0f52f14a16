/**
 * What a watch of servers reports.
 */
import { assert, describe, it } from "@effect/vitest"
import { HealthWatch } from "@mcp-sessions/core"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { call, fleet, two } from "../fixtures/fleet.ts"

describe("a watch of servers", () => {
  it.effect("reports a row with each ping, and none that has not changed", () => {
    const members = two()
    return Effect.gen(function*() {
      const changes: Array<{ readonly row: HealthWatch.WatchedServer; readonly before: HealthWatch.WatchedServer }> = []
      yield* Effect.forkChild(
        HealthWatch.watch({
          servers: ["primary"],
          interval: Duration.seconds(5),
          onChange: ({ before, row }) => Effect.sync(() => void changes.push({ row, before }))
        })
      )
      yield* TestClock.adjust("1 second")
      // Calls change the status of the server, and nothing that a row shows.
      for (let count = 0; count < 5; count++) yield* call()
      yield* TestClock.adjust("10 seconds")
      for (const { before, row } of changes) assert.notDeepEqual(row, before)
      assert.strictEqual(changes.at(-1)?.row.latencies.length, 3)
    }).pipe(Effect.scoped, Effect.provide(fleet(members)))
  })
})
