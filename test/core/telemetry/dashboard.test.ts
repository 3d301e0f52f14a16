/**
 * The queries of the dashboard for Grafana, against what a program serves to Prometheus.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { SessionError, SessionPool, Sessions, Telemetry } from "@mcp-sessions/core"
import { parser } from "@prometheus-io/lezer-promql"
import { Effect, Layer, Metric } from "effect"
import { HttpClient, HttpRouter } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { telemetryOf } from "../../../packages/core/src/internal/telemetry/serverTelemetry.ts"
import { dashboard } from "../../../tools/dashboard.ts"
import * as Scripted from "../../fixtures/scripted.ts"

/** What a query asks for: the pattern of the names of metrics, and the labels that it reads of them. */
interface Selector {
  readonly name: RegExp
  readonly labels: ReadonlyArray<string>
}

const queries = (dashboard.panels ?? []).flatMap((panel) =>
  "targets" in panel ? (panel.targets ?? []).map(({ expr }) => String(expr)) : []
)

/** The query as Grafana sends it. */
const filledIn = (query: string): string => query.replaceAll("$__rate_interval", "5m").replaceAll("$server", ".*")

const unquoted = (text: string): string => String(JSON.parse(text))

/** Parses a PromQL query. Fails on a syntax error. */
const selectorsOf = (query: string): ReadonlyArray<Selector> => {
  const selectors: Array<{ name: RegExp; readonly labels: Array<string> }> = []
  const grouping: Array<string> = []
  let label = ""
  const text = (node: { readonly from: number; readonly to: number }) => query.slice(node.from, node.to)
  parser.parse(query).iterate({
    enter: (node) => {
      assert.isFalse(node.type.isError, `${query} at ${node.from}`)
      if (node.name === "VectorSelector") selectors.push({ name: /^$/, labels: [] })
      const selector = selectors.at(-1)
      if (node.name === "Identifier" && selector !== undefined) selector.name = new RegExp(`^${text(node)}$`)
      if (node.name === "LabelName") {
        label = text(node)
        const isMatcher = node.node.parent?.name !== "GroupingLabels"
        if (!isMatcher) grouping.push(label)
        else if (label !== "__name__") selector?.labels.push(label)
      }
      if (node.name === "StringLiteral" && label === "__name__" && selector !== undefined) {
        selector.name = new RegExp(`^(?:${unquoted(text(node))})$`)
        label = ""
      }
    }
  })
  return selectors.map(({ labels, name }) => ({ name, labels: [...labels, ...grouping] }))
}

/** Every metric with all its labels, as a program serves them: after calls and a failure of one server, and one event of each kind. */
const served = Effect.gen(function*() {
  const { callTool } = yield* Sessions.Sessions
  yield* callTool("s", "t")
  yield* Effect.flip(callTool("s", "bad"))
  const pool = yield* SessionPool.make({ server: "s" })
  yield* pool.callTool("t")
  const telemetry = telemetryOf("s", yield* Effect.context<never>())
  for (const [name, { type }] of Object.entries(Telemetry.metrics)) {
    if (type === "Counter") telemetry.count(name as Parameters<typeof telemetry.count>[0])
  }
  yield* telemetry.measure("openCircuits", () => 0)
  const response = yield* HttpClient.get("/metrics")
  return yield* response.text
})

const endpoint = HttpRouter.serve(PrometheusMetrics.layerHttp({ path: "/metrics" }), { disableLogger: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const seriesOf = (text: string): ReadonlyMap<string, ReadonlySet<string>> => {
  const series = new Map<string, Set<string>>()
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{([^}]*)\})? /gm)) {
    const known = series.get(name) ?? new Set()
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label)
    series.set(name, known)
  }
  return series
}

describe("the queries of the dashboard", () => {
  it("are PromQL", () => {
    assert.isAbove(queries.length, 15)
    for (const query of queries) assert.isNotEmpty(selectorsOf(filledIn(query)), query)
  })

  it.live("ask only for metrics and labels that a program serves", () => {
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "bad"
          ? Effect.fail(
            new SessionError.ProtocolFailed({ method: "tools/call", code: -32602, description: "no", data: undefined })
          )
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const run = Effect.provide(served, Scripted.sessions(script))
      // The durations of connections are observed when they end.
      const series = seriesOf(yield* Effect.andThen(run, run))
      for (const query of queries) {
        for (const { labels, name } of selectorsOf(filledIn(query))) {
          const found = [...series].filter(([metric]) => name.test(metric))
          assert.isNotEmpty(found, `${name.source} in ${query}`)
          for (const [metric, known] of found) assert.includeMembers([...known], [...labels], `${metric} in ${query}`)
        }
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(endpoint),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })
})
