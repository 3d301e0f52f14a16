/**
 * Spans and counters of operations.
 */
import { assert, describe, it } from "@effect/vitest"
import { FallbackPolicy, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../fixtures/fibers.ts"
import { fleet, lost, named, run, servers, two } from "../fixtures/fleet.ts"
import { poolOf } from "../fixtures/pool.ts"
import * as Scripted from "../fixtures/scripted.ts"

describe("telemetry", () => {
  const counts = Effect.map(Metric.snapshot, (all) =>
    Object.fromEntries(
      all.filter(({ id }) => id.startsWith("mcp_sessions_")).map(({ attributes, id, state }) => [
        `${attributes?.server} ${id}`,
        (state as { readonly count?: number; readonly value?: number }).count ?? (state as { value: number }).value
      ])
    ))

  it.effect("creates no span without a tracer", () => {
    const spans: Array<string> = []
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      assert.deepStrictEqual(spans, [])
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: () =>
        Effect.map(Effect.option(Effect.currentSpan), (span) => {
          if (span._tag === "Some") spans.push(span.value.name)
          return {}
        })
    })))
  })

  it.effect("does not count health probes as operations", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      yield* pool.callTool("t")
      yield* TestClock.adjust("31 seconds")
      yield* pool.callTool("t")
      assert.strictEqual((yield* counts)["s mcp_sessions_operations_total"], 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("counts a call that runs as a task once", () => {
    let asked = 0
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      answer: ({ method }) =>
        Effect.sync(() => {
          const task = { taskId: "1", status: asked++ < 5 ? "working" : "completed", pollInterval: 100 }
          return method === "tools/call" ? { task } : method === "tasks/result" ? { content: [] } : task
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(callTool("s", "t", {}, { task: {} }))
      yield* settled(fiber)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* counts)["s mcp_sessions_operations_total"], 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("counts a hedged operation that moves to another server as a fallback", () => {
    const members = { ...two(), tertiary: named("tertiary") }
    members.primary.trouble.answer = () => Effect.delay(Effect.fail(lost), "2 seconds")
    members.secondary.trouble.answer = () => Effect.delay(Effect.fail(lost), "2 seconds")
    return Effect.gen(function*() {
      const fiber = yield* start(run((session) => session.readResource("test:"), {
        servers: ["primary", "secondary", "tertiary"],
        hedgeAfter: "1 second"
      }))
      yield* settled(fiber)
      yield* Fiber.join(fiber)
      const seen = yield* counts
      assert.deepStrictEqual(
        servers.map((server) => seen[`${server} mcp_sessions_fallbacks_total`]),
        [1, 1]
      )
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("counts an operation that an execution plan moves as a fallback", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(lost)
    return Effect.gen(function*() {
      const plan = yield* Effect.flatMap(Sessions.Sessions, ({ fallbackPlan }) => fallbackPlan({ servers }))
      yield* Effect.withExecutionPlan(
        Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      assert.strictEqual((yield* counts)["primary mcp_sessions_fallbacks_total"], 1)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("reports both layers when two layers use one name for a server", () => {
    const script = Scripted.make({})
    const layer = () => Layer.fresh(Scripted.sessions(script))
    const once = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t"))
    return Effect.gen(function*() {
      yield* once
      yield* Effect.provide(once, layer(), { local: true })
      assert.isDefined((yield* counts)["s mcp_sessions_operations_total"])
    }).pipe(Effect.provide(layer()))
  })
})
