/**
 * Measures what a tracer costs: calls without one, with one whose spans go nowhere, and with the OTLP tracer and a collector that takes
 * everything. Prints a table; `--write` also writes it to `docs/performance.md`.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import type { Session } from "@mcp-sessions/core/Session"
import { layer, Sessions } from "@mcp-sessions/core/Sessions"
import * as Memory from "@mcp-sessions/transports/Memory"
import * as AllTransports from "@mcp-sessions/transports/Transports"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { replace, table } from "../tools/markdown.ts"
import { serve } from "./inMemory.ts"
import { median, medianRatio, takeTurns } from "./rounds.ts"

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

const sink = spawn(process.execPath, [fixture("sink.mjs")], { stdio: ["pipe", "pipe", "inherit"] })
const [port] = await once(sink.stdout, "data")

const ending = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))
const exporting = Otlp.layerJson({
  baseUrl: `http://127.0.0.1:${String(port).trim()}`,
  resource: { serviceName: "bench" },
  maxBatchSize: 10_000,
  tracerExportInterval: "100 millis"
}).pipe(Layer.provide(FetchHttpClient.layer))

const tracers: Readonly<Record<string, Layer.Layer<never>>> = {
  none: Layer.empty,
  "spans that go nowhere": ending,
  "OTLP to a collector": exporting
}

const servers: Readonly<Record<string, ServerConfigInput>> = {
  memory: { transport: "stdio", command: "none", protocol: "legacy", healthInterval: 0 },
  stdio: {
    transport: "stdio",
    command: process.execPath,
    args: [fixture("server.mjs"), "stdio", "legacy"],
    protocol: "legacy",
    healthInterval: 0
  }
}

interface Contender {
  readonly call: Effect.Effect<unknown, Error>
  readonly context: Context.Context<never>
}

interface Measured {
  /** In µs. */
  readonly perCall: number
  /** With 64 in flight. */
  readonly callsPerSecond: number
}

const timed = async ({ call, context }: Contender, calls: number, concurrency: number): Promise<number> => {
  const each = calls / concurrency
  const start = performance.now()
  await Effect.runPromiseWith(context)(
    Effect.all(Array.from({ length: concurrency }, () => Effect.repeat(call, { times: each - 1 })), {
      concurrency: "unbounded",
      discard: true
    })
  )
  return performance.now() - start
}

const measure = async (contender: Contender): Promise<Measured> => ({
  perCall: await timed(contender, 2000, 1) / 2000 * 1000,
  callsPerSecond: 12_800 / await timed(contender, 12_800, 64) * 1000
})

const contenderOf = (scope: Scope.Scope, server: string, tracer: Layer.Layer<never>): Promise<Contender> => {
  const transports = server === "memory" ? Memory.layerTransports({ s: serve }) : AllTransports.layer
  const live = layer({ servers: { s: servers[server] as ServerConfigInput } }).pipe(
    Layer.provide(transports),
    Layer.provideMerge(tracer)
  )
  const opened = Effect.gen(function*() {
    const context = yield* Layer.build(live)
    const session: Session = yield* Context.get(context, Sessions).get("s")
    return { call: session.callTool("echo", { message: "hello" }), context: context as Context.Context<never> }
  })
  return Effect.runPromise(Scope.provide(opened, scope))
}

const rows: Array<ReadonlyArray<string>> = []
for (const server of Object.keys(servers)) {
  const scope = Scope.makeUnsafe()
  const contenders = await Promise.all(Object.values(tracers).map((tracer) => contenderOf(scope, server, tracer)))
  for (const contender of contenders) await measure(contender)
  const measured = await takeTurns({ contenders, rounds: 9, measure })
  const [base = []] = measured
  for (const [index, values] of measured.entries()) {
    const perCall = values.map(({ perCall }) => perCall)
    const callsPerSecond = values.map(({ callsPerSecond }) => callsPerSecond)
    const ratio = medianRatio(perCall, base.map(({ perCall }) => perCall))
    const rate = medianRatio(callsPerSecond, base.map(({ callsPerSecond }) => callsPerSecond))
    rows.push([
      server,
      Object.keys(tracers)[index] ?? "",
      median(perCall).toFixed(1),
      `${ratio.toFixed(2)}×`,
      Math.round(median(callsPerSecond)).toLocaleString("en"),
      `${rate.toFixed(2)}×`
    ])
  }
  await Effect.runPromise(Scope.close(scope, Effect.runSync(Effect.exit(Effect.void))))
}
const text = table(["server", "tracer", "µs per call", "to none", "calls/s, 64 in flight", "to none"], rows)
console.log(text)
if (process.argv.includes("--write")) replace("docs/performance.md", "tracing", text)
process.exit(0)
