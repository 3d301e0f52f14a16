/**
 * Spans, metrics and logs of operations.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, FallbackPolicy, RetryPolicy, SessionError, Sessions, Telemetry } from "@mcp-sessions/core"
import { Cause, Context, Effect, Fiber, Layer, Logger, Metric, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../fixtures/fibers.ts"
import { fleet, lost, named, run, servers, two } from "../fixtures/fleet.ts"
import { poolOf } from "../fixtures/pool.ts"
import * as Scripted from "../fixtures/scripted.ts"
import * as Spans from "../fixtures/spans.ts"

/** Runs a test with a registry of metrics of its own. */
const counted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

const series = Effect.map(Metric.snapshot, (all) => all.filter(({ id }) => id.startsWith("mcp")))

/** The counters and gauges, by server and name. */
const counts = Effect.map(series, (all) =>
  Object.fromEntries(
    all.filter(({ id }) => id.startsWith("mcp_sessions_")).map(({ attributes, id, state }) => [
      `${attributes?.["mcp.server"]} ${id.replace("mcp_sessions_", "")}`,
      (state as { readonly count?: number; readonly value?: number }).count ?? (state as { value: number }).value
    ])
  ))

/** The durations of a name: their attributes, and how many were observed. */
const durations = (name: string) =>
  Effect.map(
    series,
    (all) =>
      all.filter(({ id }) => id === name).map(({ attributes, state }): Readonly<Record<string, unknown>> => {
        const { count, sum } = state as { readonly count: number; readonly sum: number }
        return { ...attributes, count, sum }
      })
  )

const closed = new SessionError.TransportClosed({ delivery: "Unknown" })

describe("metrics", () => {
  it.effect("do not count health probes as operations", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      yield* pool.callTool("t")
      yield* TestClock.adjust("31 seconds")
      yield* pool.callTool("t")
      assert.strictEqual((yield* counts)["s operations_total"], 2)
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("count a call that runs as a task once", () => {
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
      assert.strictEqual((yield* counts)["s operations_total"], 1)
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("count a hedged operation that moves to another server as a fallback", () => {
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
      assert.deepStrictEqual(servers.map((server) => seen[`${server} fallbacks_total`]), [1, 1])
    }).pipe(Effect.provide(fleet(members)), counted)
  })

  it.effect("count an operation that an execution plan moves as a fallback", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(lost)
    return Effect.gen(function*() {
      const plan = yield* Effect.flatMap(Sessions.Sessions, ({ fallbackPlan }) => fallbackPlan({ servers }))
      yield* Effect.withExecutionPlan(
        Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      assert.strictEqual((yield* counts)["primary fallbacks_total"], 1)
    }).pipe(Effect.provide(fleet(members)), counted)
  })

  it.effect("count for two layers that use one name for a server, and keep the counts when they have ended", () => {
    const layer = () => Layer.fresh(Scripted.sessions(Scripted.make({})))
    const once = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t"))
    return Effect.gen(function*() {
      const between = yield* Effect.gen(function*() {
        yield* once
        yield* Effect.provide(once, layer(), { local: true })
        return yield* counts
      }).pipe(Effect.provide(layer()))
      assert.deepInclude(between, { "s operations_total": 2, "s in_flight_requests": 0 })
      const after = yield* counts
      assert.deepInclude(after, { "s operations_total": 2 })
      assert.notProperty(after, "s in_flight_requests")
    }).pipe(counted)
  })

  it.effect("count retries, losses and the connections that replace them", () => {
    const script = Scripted.make({
      answer: ({ number }) => number === 1 ? Effect.fail(closed) : Effect.succeed({ contents: [] })
    })
    return Effect.gen(function*() {
      const { use } = yield* Sessions.Sessions
      yield* use("s", (session) => session.readResource("test:"))
      assert.deepInclude(yield* counts, {
        "s operations_total": 1,
        "s requests_total": 2,
        "s retries_total": 1,
        "s connects_total": 2,
        "s opens_total": 2,
        "s reconnects_total": 1,
        "s losses_total": 1
      })
    }).pipe(
      Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.spaced({ retries: 1, delay: 0 }) })),
      counted
    )
  })

  it.effect("count requests that wait, and requests that a full queue refuses", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(Effect.flip(callTool("s", "t"))))
      const refused = yield* Fiber.join(fibers[2] ?? assert.fail())
      assert.propertyVal(Reflect.get(refused, "reason"), "_tag", "QueueFull")
      assert.deepInclude(yield* counts, {
        "s queued_requests_total": 1,
        "s refused_requests_total": 1,
        "s in_flight_requests": 1
      })
    }).pipe(
      Effect.provide(Scripted.sessions(script, {
        retry: RetryPolicy.never,
        servers: { s: { transport: "stdio", command: "s", args: [], healthInterval: 0, maxInFlight: 1, maxQueued: 1 } }
      })),
      counted
    )
  })

  it.effect("count the changes of the circuit and what it refuses", () => {
    const script = Scripted.make({ connect: () => Effect.fail(Scripted.refused) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      for (let n = 0; n < 5; n++) yield* Effect.flip(callTool("s", "t"))
      assert.deepInclude(yield* counts, {
        "s connects_total": 4,
        "s circuit_opens_total": 1,
        "s refused_requests_total": 1,
        "s open_circuits": 1
      })
    }).pipe(
      Effect.provide(Scripted.sessions(script, { circuit: Circuit.circuitDefault, retry: RetryPolicy.never })),
      counted
    )
  })

  it.effect("count leases of pools and callers that wait in vain", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1, acquireTimeout: "1 second" })
      yield* pool.get()
      const waiting = yield* start(Effect.flip(pool.callTool("t")))
      assert.deepInclude(yield* counts, {
        "s pool_leases_total": 1,
        "s pool_sessions": 1,
        "s pool_leased_sessions": 1,
        "s pool_waiting_callers": 1
      })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
      assert.deepInclude(yield* counts, { "s pool_timeouts_total": 1, "s pool_waiting_callers": 0 })
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("count connections that do not close cleanly", () => {
    const script = Scripted.make({ connect: () => Effect.addFinalizer(() => Effect.die("no")) })
    return Effect.gen(function*() {
      yield* Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t")).pipe(
        Effect.provide(Scripted.sessions(script, { onCleanup: () => Effect.void })),
        Effect.exit
      )
      assert.deepInclude(yield* counts, { "s cleanup_failures_total": 1 })
    }).pipe(counted)
  })
})

describe("the duration of requests", () => {
  const name = Telemetry.metrics.operationDuration.id

  it.effect("is recorded by method, tool and failure, in seconds", () => {
    const script = Scripted.make({
      answer: ({ method, params }) =>
        Effect.suspend((): Effect.Effect<unknown, SessionError.Reason> => {
          if (method === "prompts/get") return Effect.succeed({ messages: [] })
          if (params?.name === "wrong") return Effect.succeed({ content: [], isError: true })
          return params?.name === "none"
            ? Effect.fail(
              new SessionError.ProtocolFailed({ method, code: -32602, description: "no such tool", data: undefined })
            )
            : Effect.delay(Effect.succeed({ content: [] }), "3 seconds")
        })
    })
    return Effect.gen(function*() {
      const { callTool, use } = yield* Sessions.Sessions
      for (let n = 0; n < 2; n++) yield* settled(yield* start(callTool("s", "slow")))
      yield* callTool("s", "wrong")
      yield* Effect.flip(callTool("s", "none"))
      yield* use("s", (session) => session.getPrompt("greet"))
      const interrupted = yield* start(callTool("s", "slow"))
      yield* Fiber.interrupt(interrupted)
      const common = {
        "mcp.server": "s",
        "mcp.protocol.version": "2025-11-25",
        "network.transport": "pipe",
        unit: "s"
      }
      const tool = (name: string) => ({
        ...common,
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name
      })
      assert.deepStrictEqual(yield* durations(name), [
        { ...tool("slow"), count: 2, sum: 6 },
        { ...tool("wrong"), "error.type": "tool_error", count: 1, sum: 0 },
        { ...tool("none"), "error.type": "-32602", "rpc.response.status_code": "-32602", count: 1, sum: 0 },
        { ...common, "mcp.method.name": "prompts/get", "gen_ai.prompt.name": "greet", count: 1, sum: 0 },
        { ...tool("slow"), "error.type": "Cancelled", count: 1, sum: 0 }
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("is recorded once for each request that was sent, lists that are interrupted too", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const { use } = yield* Sessions.Sessions
      const listing = yield* start(use("s", (session) => session.listTools()))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(listing)
      const found = (yield* durations(name)).map((one) => [one["mcp.method.name"], one["error.type"], one.sum])
      assert.deepStrictEqual(found, [["tools/list", "Cancelled", 2]])
      assert.strictEqual((yield* counts)["s requests_total"], 1)
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("has the buckets of the conventions", () => {
    const script = Scripted.make({ answer: () => Effect.delay(Effect.succeed({ content: [] }), "3 seconds") })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* settled(yield* start(callTool("s", "t")))
      const found = (yield* series).find(({ id }) => id === name)
      assert.deepStrictEqual(
        Reflect.get(found?.state ?? {}, "buckets"),
        Telemetry.durationBuckets.map((bound) => [bound, bound >= 3 ? 1 : 0] as const)
      )
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })

  it.effect("counts tools beyond a bound as one", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      for (let n = 0; n < 510; n++) yield* callTool("s", `tool ${n}`)
      yield* callTool("s", "tool 0")
      const all = yield* durations(name)
      assert.strictEqual(all.length, 501)
      const of = (tool: string) => all.find((one) => one["gen_ai.tool.name"] === tool)?.count
      assert.deepStrictEqual([of("_OTHER"), of("tool 0"), of("tool 1")], [10, 2, 1])
    }).pipe(Effect.provide(Scripted.sessions(script)), counted)
  })
})

describe("the duration of sessions", () => {
  it.effect("is recorded when a connection is lost, with the reason, and when it is closed", () => {
    const script = Scripted.make({})
    const name = Telemetry.metrics.sessionDuration.id
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("s", "t")
        yield* TestClock.adjust("20 seconds")
        yield* script.lose(closed)
        yield* callTool("s", "t")
        yield* TestClock.adjust("5 seconds")
      }).pipe(Effect.provide(Scripted.sessions(script)))
      const found = (yield* durations(name)).map((one) => [one["error.type"], one.count, one.sum])
      assert.deepStrictEqual(found, [["TransportClosed", 1, 20], [undefined, 1, 5]])
    }).pipe(counted)
  })
})

describe("spans", () => {
  it.effect("are not created without a tracer", () => {
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

  it.effect("show each attempt of a connect below it, and link what waited for it", () => {
    const { layer, seen, traced } = Spans.make()
    const script = Scripted.make({
      connect: (attempt) => attempt === 1 ? Effect.fail(Scripted.refused) : Effect.void
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.withSpan(callTool("s", "t"), "program")
      assert.deepStrictEqual(
        seen().map(({ above, links, name }) => [name, above, links]),
        [
          ["program", [], []],
          ["Sessions.get", ["program"], []],
          ["connect", [], []],
          ["attempt", ["connect"], []],
          ["attempt", ["connect"], []],
          ["tools/call t", ["program"], []],
          ["attempt", ["tools/call t", "program"], ["connect"]]
        ]
      )
      const [refused, made] = seen("attempt")
      assert.deepInclude(refused?.attributes, { "mcp.attempt": 1, "error.type": Scripted.refused._tag })
      assert.deepInclude(made?.attributes, {
        "mcp.attempt": 2,
        "mcp.generation": 1,
        "mcp.protocol.version": "2025-11-25"
      })
    }).pipe(
      traced,
      Effect.provide(
        Scripted.sessions(script, { retry: RetryPolicy.spaced({ retries: 1, delay: 0 }) }).pipe(Layer.provide(layer))
      )
    )
  })

  it.effect("have failed where a tool reports an error, and do not show its text", () => {
    const { layer, seen, traced } = Spans.make()
    const result = { content: [{ type: "text", text: "private" }], isError: true }
    const script = Scripted.make({ answer: () => Effect.succeed(result) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      assert.deepStrictEqual(yield* callTool("s", "t"), result as never)
      for (const name of ["tools/call t", "attempt"]) {
        const span = seen(name).at(-1)
        assert.strictEqual(span?.attributes["error.type"], "tool_error")
        assert(span?.exit?._tag === "Failure")
        assert.notInclude(Cause.pretty(span.exit.cause), "private")
      }
    }).pipe(traced, Effect.provide(Scripted.sessions(script).pipe(Layer.provide(layer))))
  })

  it.effect("show the URI of a resource without its credentials and its query", () => {
    const { layer, seen, traced } = Spans.make()
    const script = Scripted.make({ answer: () => Effect.succeed({ contents: [] }) })
    return Effect.gen(function*() {
      const { use } = yield* Sessions.Sessions
      yield* use("s", (session) => session.readResource("db://ada:secret@host/table?key=secret#part"))
      assert.strictEqual(seen("resources/read")[0]?.attributes["mcp.resource.uri"], "db://host/table")
    }).pipe(traced, Effect.provide(Scripted.sessions(script).pipe(Layer.provide(layer))))
  })
})

describe("a tracer that throws", () => {
  for (const at of ["addLinks", "attribute", "end", "event", "span"] as const) {
    it.effect(`in \`${at}\` changes the outcome of no call`, () => {
      const { layer, throws, traced } = Spans.throwing(at)
      let calls = 0
      const script = Scripted.make({
        connect: (attempt) =>
          Effect.andThen(Effect.log("connecting"), attempt === 1 ? Effect.fail(Scripted.refused) : Effect.void),
        answer: () => ++calls === 2 ? Effect.fail(closed) : Effect.succeed({ content: [], isError: calls === 3 })
      })
      return Effect.gen(function*() {
        const { callTool, use, withFallback } = yield* Sessions.Sessions
        assert.deepInclude(yield* callTool("s", "t"), { content: [] })
        const error = yield* Effect.flip(callTool("s", "t"))
        assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "OutcomeUnknown")
        const failed = use("s", (session) => Effect.andThen(script.lose(closed), session.callTool("t")))
        assert.deepInclude(yield* failed, { isError: true })
        yield* withFallback({ servers: ["s"] }, (session) => session.callTool("t"))
        assert.strictEqual(calls, 4)
        assert.isAbove(throws(), 0)
      }).pipe(
        traced,
        Effect.provide(
          Scripted.sessions(script, { retry: RetryPolicy.spaced({ retries: 1, delay: 0 }) }).pipe(Layer.provide(layer))
        )
      )
    })
  }

  it.effect("is logged once", () => {
    const { layer, throws, traced } = Spans.throwing("end")
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(message))
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      yield* callTool("s", "t")
      assert.isAbove(throws(), 2)
      assert.deepStrictEqual(logged, [["the tracer threw; its spans may be incomplete"]])
    }).pipe(
      traced,
      Effect.provide(
        Scripted.sessions(script).pipe(Layer.provide(layer), Layer.provideMerge(Logger.layer([logger])))
      )
    )
  })

  it.effect("is guarded without a change of its spans: they stay of their class", () => {
    class Own extends Tracer.NativeSpan {
      readonly isOwn = true
    }
    const spans: Array<Tracer.AnySpan> = []
    const tracer = Tracer.make({ span: (options) => new Own(options) })
    const script = Scripted.make({
      connect: () => Effect.map(Effect.orDie(Effect.currentParentSpan), (span) => void spans.push(span))
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      assert.deepStrictEqual(spans.map((span) => span instanceof Own), [true])
    }).pipe(Effect.provide(Scripted.sessions(script).pipe(Layer.provide(Layer.succeed(Tracer.Tracer, tracer)))))
  })

  it.effect("makes servers see no span that is not there", () => {
    const { layer, traced } = Spans.throwing("span")
    const metas: Array<unknown> = []
    const script = Scripted.make({
      answer: ({ params }) =>
        Effect.sync(() => {
          metas.push(params?._meta)
          return { content: [] }
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      assert.deepStrictEqual(metas, [undefined])
    }).pipe(traced, Effect.provide(Scripted.sessions(script).pipe(Layer.provide(layer))))
  })
})

describe("a logger that throws", () => {
  it.effect("changes the outcome of no call", () => {
    let throws = 0
    const logger = Logger.make(() => {
      throws++
      throw new Error("a bug of the logger")
    })
    const script = Scripted.make({
      answer: ({ report }) =>
        Effect.sync(() => {
          report({ progress: 1 })
          return { content: [] }
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const result = yield* callTool("s", "t", {}, { onProgress: () => Effect.die("a bug of the handler") })
      assert.deepInclude(result, { content: [] })
      assert.isAbove(throws, 0)
    }).pipe(Effect.provide(Scripted.sessions(script).pipe(Layer.provideMerge(Logger.layer([logger])))))
  })
})

describe("the trace context of a request", () => {
  /** The `_meta` of each request that a script received. */
  const recording = () => {
    const metas: Array<unknown> = []
    const script = Scripted.make({
      answer: ({ method, params }) =>
        Effect.sync(() => {
          metas.push(params?._meta)
          return method === "tools/list" ? { tools: [] } : { content: [] }
        })
    })
    return { metas, script }
  }

  it.effect("names the span of its attempt", () => {
    const { layer, spans, traced } = Spans.make()
    const { metas, script } = recording()
    return Effect.gen(function*() {
      const { callTool, use } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      yield* use("s", (session) => session.listTools())
      const attempts = spans.filter(({ name, parent }) =>
        name === "attempt" && parent._tag === "Some" && (parent.value as Tracer.Span).name !== "connect"
      )
      assert.strictEqual(attempts.length, 2)
      assert.deepStrictEqual(
        metas,
        attempts.map(({ spanId, traceId }) => ({ traceparent: `00-${traceId}-${spanId}-01` }))
      )
    }).pipe(traced, Effect.provide(Scripted.sessions(script).pipe(Layer.provide(layer))))
  })

  it.effect("is absent where a span exists only in this process", () => {
    const { metas, script } = recording()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      yield* Effect.withSpan(callTool("s", "t"), "local")
      assert.deepStrictEqual(metas, [undefined, undefined])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("leaves out values that are no printable ASCII or too long, and is absent where propagation is disabled", () => {
    const { metas, script } = recording()
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    const span = Telemetry.fromTraceparent(traceparent) ?? assert.fail()
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const call = callTool("s", "t").pipe(
        Effect.withParentSpan(span),
        Effect.provideService(Telemetry.CurrentTraceContext, { tracestate: "a\nb", baggage: "a".repeat(8193) })
      )
      yield* call
      const disabled = { ...span, annotations: Context.make(Tracer.DisablePropagation, true) }
      yield* Effect.withParentSpan(callTool("s", "t"), disabled)
      assert.deepStrictEqual(metas, [{ traceparent }, undefined])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("logs", () => {
  it.effect("tell each change of a connection once, with the server, a hash of the owner and the generation", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ fiber, message }) => {
      lines.push([String(message), fiber.getRef(References.CurrentLogAnnotations)])
    })
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("s", "t", {}, { owner: "ada" })
        yield* callTool("s", "t", {}, { owner: "ada" })
        yield* script.lose(closed)
        yield* callTool("s", "t", {}, { owner: "ada" })
      }).pipe(Effect.provide(
        Scripted.sessions(script).pipe(
          Layer.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")))
        )
      ))
      const of = (generation: number) => ({ "mcp.server": "s", "mcp.owner": "0b873241", "mcp.generation": generation })
      assert.deepStrictEqual(lines, [
        ["connected", of(1)],
        ["lost the connection", { ...of(1), "error.type": "TransportClosed", "error.message": closed.message }],
        ["reconnected", of(2)],
        ["closed", of(2)]
      ])
    })
  })

  it.effect("tell changes of the circuit and of fallback", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ fiber, message }) => {
      lines.push(`${fiber.getRef(References.CurrentLogAnnotations)["mcp.server"]} ${message}`)
    })
    const members = two()
    members.primary.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      for (let n = 0; n < 6; n++) yield* run((session) => session.callTool("t"), { servers })
      assert.includeMembers(lines, ["primary ejected from fallback", "secondary connected"])
      assert.strictEqual(lines.filter((line) => line === "primary ejected from fallback").length, 1)
    }).pipe(Effect.provide(
      fleet(members).pipe(
        Layer.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")))
      )
    ))
  })
})
