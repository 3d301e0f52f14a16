/**
 * A10, flap, fail over, recover: an unstable primary, under a test clock and on real servers that record their requests
 * in their own ledgers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer, Metric, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { legacy, listed } from "../fixtures/capable.ts"
import { start } from "../fixtures/fibers.ts"
import { until } from "../fixtures/peer.ts"
import { read } from "../fixtures/read.ts"
import * as Scripted from "../fixtures/scripted.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import * as Spans from "../fixtures/spans.ts"

const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })

const ok = { content: [] }

const servers = ["primary", "secondary"] as const

const reasonOf = (error: unknown) => (error as SessionError.SessionError).reason

/** Two servers; the primary fails as the test specifies. */
const pair = (options: Partial<Parameters<typeof Sessions.layer>[0]> = {}) => {
  const trouble: { connect?: SessionError.Reason | undefined; answer?: Effect.Effect<unknown, SessionError.Reason> } =
    {}
  const primary = Scripted.make({
    connect: () => Effect.suspend(() => trouble.connect === undefined ? Effect.void : Effect.fail(trouble.connect)),
    answer: () => trouble.answer ?? Effect.succeed(ok)
  })
  const secondary = Scripted.make({})
  const layer = Scripted.fleet({ primary, secondary }, {
    circuit: Circuit.circuitDefault,
    reconnect: Schedule.spaced("10 seconds"),
    ...options
  })
  return { trouble, primary, secondary, layer }
}

const call = (tool: string) =>
  Effect.flatMap(
    Sessions.Sessions,
    ({ withFallback }) => withFallback({ servers }, (session) => Effect.as(session.callTool(tool), session.server))
  )

describe("A10: flap, fail over, recover", () => {
  it.effect("a call that may have run on the primary fails, a call that did not run moves, and after four failures no call goes to the primary", () => {
    const { layer, primary, secondary, trouble } = pair()
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      assert.strictEqual(yield* call("before"), "primary")
      // Three calls are in flight when the connection breaks, and no call moves.
      trouble.answer = Effect.andThen(Effect.sleep("1 second"), Effect.fail(lost))
      const ambiguous = yield* Effect.forEach([1, 2, 3], (n) => start(Effect.flip(call(`ambiguous ${n}`))))
      yield* TestClock.adjust("1 second")
      for (const fiber of ambiguous) assert.strictEqual(reasonOf(yield* Fiber.join(fiber))._tag, "OutcomeUnknown")
      assert.deepStrictEqual(secondary.requests, [])
      yield* primary.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      trouble.connect = Scripted.refused
      // The three calls are three failures, and the loss of the connection is the fourth.
      assert.deepInclude(yield* Effect.map(sessions.status("primary"), ({ health }) => health), {
        errorCount: 4,
        isHealthy: false
      })
      for (let n = 0; n < 10; n++) assert.strictEqual(yield* call(`moved ${n}`), "secondary")
      assert.deepStrictEqual(
        [primary.connects.length, primary.requests.length, secondary.requests.length],
        [1, 4, 10]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("an open circuit admits one probe each time its period ends, and three consecutive successful probes readmit the primary", () => {
    const openFor = Schedule.min([Schedule.exponential("5 seconds"), Schedule.spaced("60 seconds")])
    const { layer, primary, secondary, trouble } = pair({ circuit: { failures: 4, openFor } })
    return Effect.gen(function*() {
      const { status } = yield* Sessions.Sessions
      trouble.connect = Scripted.refused
      for (let n = 0; n < 8; n++) assert.strictEqual(yield* call(`${n}`), "secondary")
      assert.deepStrictEqual(primary.connects, [0, 0, 0, 0])
      assert.deepStrictEqual((yield* status("primary")).circuit, { state: "open", retryAt: 5000 })
      // The first probe comes after 5 seconds, the next every 10; the circuit opens for 5, 10, 20 seconds and so on.
      yield* TestClock.adjust("65 seconds")
      assert.deepStrictEqual(primary.connects.slice(4), [5000, 15_000, 35_000])
      trouble.connect = undefined
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(primary.connects.length, 8)
      assert.deepStrictEqual((yield* status("primary")).circuit, { state: "closed" })
      assert.strictEqual(yield* call("not yet"), "secondary")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* call("back"), "primary")
      assert.deepStrictEqual(primary.requests, ["8:ping", "8:ping", "8:ping", "8:tools/call:back"])
      assert.strictEqual(secondary.requests.length, 9)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a primary without contact for five minutes is pinged before it gets a call, and the call moves if the ping fails", () => {
    const { layer, primary, secondary, trouble } = pair()
    return Effect.gen(function*() {
      yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("primary"))
      yield* TestClock.adjust("5 minutes")
      yield* TestClock.adjust("1 millis")
      trouble.answer = Effect.fail(lost)
      assert.strictEqual(yield* call("moved"), "secondary")
      assert.deepStrictEqual(primary.requests, ["1:ping"])
      assert.deepStrictEqual(secondary.requests, ["1:tools/call:moved"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("each progress report restarts the timeout of a call, up to the total timeout", () => {
    const script = Scripted.make({
      answer: ({ report }) =>
        Effect.forever(Effect.andThen(Effect.sleep("50 seconds"), Effect.sync(() => report({ progress: 1 }))))
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(Effect.flip(callTool("s", "long", {}, { onProgress: () => {} })))
      yield* TestClock.adjust("299999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const reason = reasonOf(yield* Fiber.join(fiber))
      assert(reason._tag === "OutcomeUnknown")
      assert.deepInclude(reason.lost, { _tag: "RequestTimeout", timeout: 300_000 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("a thousand changes of a list cause one more fetch while one fetch runs", () => {
    let running = 0
    let most = 0
    const asked = Deferred.makeUnsafe<void>()
    const script = Scripted.make({
      info: { capabilities: legacy },
      answer: () =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.delay(Effect.succeed(listed), "1 second")),
          () => Effect.sync(() => running--)
        )
    })
    return Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("s"))
      yield* read(session.watchTools)
      yield* Deferred.await(asked)
      for (let n = 0; n < 1000; n++) script.notify("notifications/tools/list_changed")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(script.requests.length, 2)
      assert.strictEqual(most, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.live("the interruption of one caller cancels the call of that caller only", () =>
    Effect.gen(function*() {
      const held: Array<Http.Arrival> = []
      const server = yield* Http.start((arrival) => {
        if (arrival.message.method !== "tools/call") return false
        held.push(arrival)
        return true
      })
      yield* Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        const [first, ...others] = yield* Effect.forEach([0, 1, 2, 3], (n) => start(callTool("s", `call ${n}`)))
        yield* until(() => held.length, (calls) => calls === 4)
        yield* Fiber.interrupt(first ?? assert.fail())
        yield* until(() => server.count("POST notifications/cancelled"), (told) => told === 1)
        for (const { message, response } of held) Http.json(response, Http.toolResult(message.id, "done"))
        yield* Fiber.joinAll(others)
        assert.strictEqual(server.count("POST notifications/cancelled"), 1)
      }).pipe(Effect.provide(
        Sessions.layer({ servers: { s: { transport: "streamable_http", url: server.url, protocol: "legacy" } } }).pipe(
          Layer.provide(Transports.layer)
        )
      ))
    }).pipe(Effect.scoped))

  it.live("spans record the attempts of each call, and counters match the requests that the servers received", () =>
    Effect.gen(function*() {
      const refuse = { next: 0 }
      const primary = yield* Http.start(({ message, response }) => {
        if (message.method !== "tools/call" || refuse.next-- <= 0) return false
        response.writeHead(429, { "retry-after": "0" }).end()
        return true
      })
      const secondary = yield* Http.start(() => false)
      const { layer, seen, traced } = Spans.make()
      const definition = (url: string) => ({ transport: "streamable_http" as const, url, protocol: "legacy" as const })
      const live = Sessions.layer({
        servers: { primary: definition(primary.url), secondary: definition(secondary.url) },
        retry: RetryPolicy.spaced({ retries: 2, delay: 0 })
      }).pipe(Layer.provide(Transports.layer), Layer.provide(layer))
      yield* Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* Effect.withSpan(callTool("primary", "plain"), "program")
        refuse.next = 2
        yield* Effect.withSpan(callTool("primary", "again"), "program")
        refuse.next = 1
        assert.strictEqual(yield* Effect.withSpan(call("moved"), "program"), "secondary")

        // The connect span has no parent: the layer was built outside of any span, and a connect belongs to no caller.
        assert.deepStrictEqual(
          seen("connect").map(({ above, attributes }) => [above, attributes["mcp.server"]]),
          [[[], "primary"], [[], "secondary"]]
        )
        const [plain] = seen("tools/call plain")
        assert.deepStrictEqual(plain?.above, ["program"])
        assert.deepInclude(plain?.attributes, {
          "mcp.server": "primary",
          "mcp.transport": "streamable_http",
          "mcp.method.name": "tools/call",
          "gen_ai.operation.name": "execute_tool",
          "gen_ai.tool.name": "plain"
        })
        const attempts = seen("attempt").filter(({ above }) => above[0] !== "connect").map((
          { above, attributes, links }
        ) => [
          above[0],
          attributes["mcp.attempt"],
          attributes["error.type"],
          links[0]
        ])
        assert.deepStrictEqual(attempts, [
          ["tools/call plain", 1, undefined, "connect"],
          ["tools/call again", 1, "HttpFailed", "connect"],
          ["tools/call again", 2, "HttpFailed", "connect"],
          ["tools/call again", 3, undefined, "connect"],
          ["tools/call moved", 1, "HttpFailed", "connect"],
          ["tools/call moved", 1, undefined, "connect"]
        ])

        const counts = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("mcp_sessions_"))
        const count = (id: string, server: string) => {
          const state = counts.find((metric) => metric.id === id && metric.attributes?.["mcp.server"] === server)?.state
          return (state as { readonly count: number } | undefined)?.count ?? 0
        }
        const calls = ({ ledger }: Http.ScriptedHttp) =>
          ledger.filter(({ what }) => what.startsWith("POST tools/call")).length
        for (const [name, server] of [["primary", primary], ["secondary", secondary]] as const) {
          assert.strictEqual(count("mcp_sessions_requests_total", name), calls(server))
          assert.strictEqual(count("mcp_sessions_connects_total", name), server.count("POST initialize"))
        }
        assert.deepStrictEqual(
          servers.map((server) => [
            count("mcp_sessions_operations_total", server),
            count("mcp_sessions_requests_total", server),
            count("mcp_sessions_fallbacks_total", server)
          ]),
          [[3, 5, 1], [1, 1, 0]]
        )
      }).pipe(traced, Effect.provide(live))
      // Counters stay for an exporter that reads them later; gauges do not.
      const left = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("mcp_sessions_"))
      assert.deepStrictEqual(new Set(left.map(({ type }) => type)), new Set(["Counter"]))
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map())))
})
