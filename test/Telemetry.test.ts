/**
 * Telemetry as a collector receives it, compared with the ledgers of real servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { McpSessions, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Metric, References } from "effect"
import { type Received, type ReceivedSpan, startCollector } from "./fixtures/collecting.ts"
import { http, net, stdio } from "./fixtures/peer.ts"

const secret = "kq8-4d1f-secret-of-a-header"

/** Servers of both eras on all transports, by name. */
const startServers = Effect.gen(function*() {
  const peers = {
    stdio: yield* stdio("v2").start,
    http: yield* http("v1").start,
    modern: yield* http("v2").start,
    sse: yield* net("sse", "v1").start,
    websocket: yield* net("websocket", "v2").start
  }
  const configs = Object.fromEntries(
    Object.entries(peers).map(([name, { config }]) => [
      name,
      "url" in config ? { ...config, headers: { authorization: `Bearer ${secret}` } } : config
    ])
  )
  return { peers, configs, names: Object.keys(peers) as ReadonlyArray<keyof typeof peers> }
})

const traceparent = ({ spanId, traceId }: ReceivedSpan) => `00-${traceId}-${spanId}-01`

const views = (received: Received) => {
  const byId = new Map(received.spans.map((span) => [span.spanId, span]))
  const parentOf = ({ parentSpanId }: ReceivedSpan) => parentSpanId === undefined ? undefined : byId.get(parentSpanId)
  return {
    parentOf,
    pathOf: (span: ReceivedSpan): ReadonlyArray<string> => {
      const parent = parentOf(span)
      return parent === undefined ? [span.name] : [...views(received).pathOf(parent), span.name]
    },
    named: (name: string, server?: string) =>
      received.spans.filter((span) =>
        span.name === name && (server === undefined || span.attributes["mcp.server"] === server)
      ),
    /** The sum over the points of a metric with these attributes. */
    total: (name: string, attributes: Readonly<Record<string, unknown>>) =>
      received.points.filter((point) =>
        point.name === name && Object.entries(attributes).every(([key, value]) => point.attributes[key] === value)
      ).reduce((sum, { value }) => sum + value, 0)
  }
}

describe("a collector", () => {
  it.live("receives spans, metrics and logs that match the ledgers of the servers", () =>
    Effect.gen(function*() {
      const { otlp, received } = yield* startCollector
      const { configs, names, peers } = yield* startServers
      const program = Effect.gen(function*() {
        const { use } = yield* Sessions.Sessions
        yield* Effect.forEach(names, (server) =>
          use(server, (session) =>
            Effect.gen(function*() {
              yield* session.listTools()
              for (const id of [1, 2, 3]) yield* session.callTool("count", { id })
              for (const _ of [1, 2]) yield* session.callTool("trace")
              yield* session.callTool("fail")
              yield* Effect.flip(session.callTool("reject"))
            })), { concurrency: "unbounded" })
      }).pipe(
        Effect.withSpan("program"),
        Effect.provide(
          Sessions.layer({ servers: configs }).pipe(
            Layer.provide(Transports.layer),
            Layer.provide(Layer.succeed(References.MinimumLogLevel, "Debug")),
            Layer.provideMerge(otlp)
          )
        ),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
      yield* program
      const all = yield* received
      const { named, parentOf, pathOf, total } = views(all)

      for (const server of names) {
        const { ledger } = peers[server]
        const calls = (tool: string) => ({
          "mcp.server": server,
          "mcp.method.name": "tools/call",
          "gen_ai.tool.name": tool
        })
        // Each call that the server counted is one span, and one observation of its duration.
        for (const tool of ["count", "trace"]) {
          const ran = ledger(tool).length
          assert.strictEqual(named(`tools/call ${tool}`, server).length, ran)
          assert.strictEqual(total("mcp.client.operation.duration", calls(tool)), ran)
        }
        const errors = (tool: string) =>
          named(`tools/call ${tool}`, server).map((
            { attributes, status }
          ) => [attributes["error.type"], attributes["rpc.response.status_code"], status])
        assert.deepStrictEqual(errors("fail"), [["tool_error", undefined, 2]])
        assert.deepStrictEqual(errors("reject"), [["-32050", "-32050", 2]])
        assert.strictEqual(total("mcp.client.operation.duration", { ...calls("fail"), "error.type": "tool_error" }), 1)
        assert.strictEqual(total("mcp.client.operation.duration", { ...calls("reject"), "error.type": "-32050" }), 1)

        // The server saw the span of each attempt, below that of the call.
        const attempts = all.spans.filter((span) =>
          span.name === "attempt" && parentOf(span)?.name === "tools/call trace" &&
          parentOf(span)?.attributes["mcp.server"] === server
        )
        assert.sameMembers([...ledger("trace")], attempts.map(traceparent))
        for (const attempt of attempts) {
          assert.deepStrictEqual(pathOf(attempt), ["program", "tools/call trace", "attempt"])
          assert.deepStrictEqual(attempt.links, named("connect", server).map(({ spanId }) => spanId))
        }
        const [connect = assert.fail()] = named("connect", server)
        assert.deepStrictEqual(
          all.spans.filter((span) => parentOf(span) === connect).map(({ name }) => name),
          ["attempt"]
        )

        const of = (name: string) => total(`mcp_sessions_${name}_total`, { "mcp.server": server })
        assert.deepStrictEqual(
          [of("operations"), of("requests"), of("connects"), of("opens"), of("retries"), of("cleanup_failures")],
          [8, 8, 1, 1, 0, 0]
        )
        assert.strictEqual(total("mcp.client.operation.duration", { "mcp.server": server }), of("requests"))
        assert.strictEqual(total("mcp.client.session.duration", { "mcp.server": server }), of("opens"))
        assert.deepStrictEqual(
          all.logs.filter(({ attributes }) => attributes["mcp.server"] === server).map(({ body }) => body),
          ["connected", "closed"]
        )
      }

      // The process of a stdio server, and the sessions and sockets of the others, are the connections that were opened.
      assert.strictEqual(peers.stdio.ledger("process").length, 1)
      assert.strictEqual(peers.http.ledger("session").length, 1)
      const [call] = named("tools/call count", "http")
      assert.deepInclude(call?.attributes, {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "count",
        "mcp.protocol.version": "2025-11-25",
        "mcp.session.id": peers.http.ledger("session")[0],
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": "127.0.0.1"
      })
      assert.match(String(call?.attributes["jsonrpc.request.id"]), /^\d+$/)
      assert.strictEqual(call?.kind, 3)
      assert.strictEqual(named("tools/call count", "stdio")[0]?.attributes["network.transport"], "pipe")
      assert.strictEqual(named("tools/call count", "modern")[0]?.attributes["mcp.protocol.version"], "2026-07-28")
      assert.isTrue(all.points.filter(({ name }) => name.endsWith(".duration")).every(({ unit }) => unit === "s"))
      assert.notInclude(all.text, secret)
    }).pipe(Effect.scoped))

  it.live("receives the spans of calls in promises, below the span that the program names", () =>
    Effect.gen(function*() {
      const { otlp, received } = yield* startCollector
      const { config, ledger } = yield* stdio("v2").start
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      let active: string | undefined
      yield* Effect.promise(async () => {
        const sessions = McpSessions.make({
          transports: Transports.layer,
          servers: { s: config },
          telemetry: { layer: otlp, traceparent: () => active }
        })
        await sessions.callTool("s", "trace")
        active = `00-${traceId}-00f067aa0ba902b7-01`
        await sessions.callTool("s", "trace")
        const session = await sessions.get("s")
        await session.callTool("trace")
        await sessions.close()
      })
      const { named, parentOf } = views(yield* received)
      const calls = named("tools/call trace")
      assert.strictEqual(calls.length, 3)
      assert.deepStrictEqual(
        calls.filter((call) => call.traceId === traceId).map(({ parentSpanId }) => parentSpanId),
        ["00f067aa0ba902b7", "00f067aa0ba902b7"]
      )
      const attempts = named("attempt").filter((span) => parentOf(span)?.name === "tools/call trace")
      assert.sameMembers([...ledger("trace")], attempts.map(traceparent))
    }).pipe(Effect.scoped))

  it.live("is not needed to pass the trace context of a program on", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v2").start
      const active = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
      let isActive = true
      yield* Effect.promise(async () => {
        const sessions = McpSessions.make({
          transports: Transports.layer,
          servers: { s: config },
          telemetry: { traceparent: () => isActive ? active : "nonsense" }
        })
        for (const _ of [1, 2]) await sessions.callTool("s", "trace")
        isActive = false
        await sessions.callTool("s", "trace")
        await sessions.close()
      })
      assert.deepStrictEqual(ledger("trace"), [active, active, "undefined"])
    }).pipe(Effect.scoped))
})
