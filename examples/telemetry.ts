/**
 * Telemetry: the spans of two calls as a tree, and the metrics that they leave. A program that exports them provides `Otlp.layerJson` of
 * `effect/observability` in place of this tracer (docs/telemetry.md).
 */
import { NodeRuntime } from "@effect/platform-node"
import { Sessions, Telemetry } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer, Metric, Option, Tracer } from "effect"

/** Keeps the spans in the order of their starts. */
const makeTracer = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const shown = ({ attributes, name }: Tracer.Span) =>
    attributes.has("error.type") ? `${name} (${attributes.get("error.type")})` : name
  const treeOf = (parent: Tracer.Span | undefined, indent = ""): ReadonlyArray<string> =>
    spans.flatMap((span) =>
      Option.getOrUndefined(span.parent) === parent ? [`${indent}${shown(span)}`, ...treeOf(span, `${indent}  `)] : []
    )
  return { layer: Layer.succeed(Tracer.Tracer, tracer), tree: () => treeOf(undefined) }
}

export const program = Effect.gen(function*() {
  const { layer, tree } = makeTracer()
  const live = Sessions.layer({ servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } } }).pipe(
    Layer.provide(Transports.layer),
    Layer.provideMerge(layer)
  )
  const requests = Metric.withAttributes(Telemetry.metrics.requests, { "mcp.server": "everything" })
  const { count } = yield* Effect.gen(function*() {
    const { use } = yield* Sessions.Sessions
    yield* use("everything", (session) =>
      Effect.gen(function*() {
        yield* session.callTool("get-sum", { a: 2, b: 3 })
        yield* session.callTool("get-sum", { a: "two" })
      })).pipe(Effect.withSpan("agent"))
    return yield* Metric.value(requests)
  }).pipe(Effect.provide(live), Effect.provideService(Metric.MetricRegistry, new Map()))
  return { tree: tree(), requests: count }
})

if (import.meta.main) {
  NodeRuntime.runMain(
    Effect.flatMap(program, ({ requests, tree }) => Console.log([...tree, `${requests} requests`].join("\n")))
  )
}
