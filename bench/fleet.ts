/**
 * What it costs to have more than one server or session: a pool, fallback with its failover, nineteen good servers beside one that
 * hangs, and a quiet owner beside a loud one. Run with `pnpm bench`.
 */
import * as FallbackPolicy from "@mcp-sessions/core/FallbackPolicy"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import * as SessionPool from "@mcp-sessions/core/SessionPool"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as AllTransports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import { createServer } from "node:net"
import { median } from "./harness.ts"
import { instant } from "./instant.ts"
import { listen } from "./processes.ts"

const rounds = 7
const args = { message: "hello" }

const quantile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* effect
    return performance.now() - start
  })

// -----------------------------------------------------------------------------
// What the layers cost, over a connection that answers in the same turn
// -----------------------------------------------------------------------------

const layers = Effect.gen(function*() {
  const calls = 20_000
  const sessions = yield* Sessions.Sessions
  const session = yield* sessions.get("a")
  const pool = yield* SessionPool.make({ server: "a" })
  const servers = ["a", "b"] as const
  const plan = yield* sessions.fallbackPlan({ servers })
  const order = FallbackPolicy.leastInFlight()
  const contenders = {
    "a session": session.callTool("echo", args),
    "`sessions.callTool`": sessions.callTool("a", "echo", args),
    "`pool.callTool`": pool.callTool("echo", args),
    "`withFallback`": sessions.withFallback({ servers }, (session) => session.callTool("echo", args)),
    "`withFallback`, least in flight": sessions.withFallback(
      { servers, order },
      (session) => session.callTool("echo", args)
    ),
    "`fallbackPlan`": Effect.withExecutionPlan(
      Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.callTool("echo", args)),
      plan
    )
  }
  const costs = Object.fromEntries(Object.keys(contenders).map((name) => [name, [] as Array<number>]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, call] of Object.entries(contenders)) {
      const millis = yield* timed(Effect.gen(function*() {
        for (let i = 0; i < calls; i++) yield* call
      }))
      costs[name]?.push(millis / calls * 1000)
    }
  }
  console.log("### A call, by way of\n\n| | µs | more than a session |\n| --- | ---: | ---: |")
  const base = median(costs["a session"] ?? [])
  for (const [name, values] of Object.entries(costs)) {
    console.log(`| ${name} | ${median(values).toFixed(1)} | ${(median(values) - base).toFixed(1)} |`)
  }
  console.log()
}).pipe(
  Effect.scoped,
  Effect.provide(
    Sessions.layer({
      servers: {
        a: { transport: "stdio", command: "none", args: [] },
        b: { transport: "stdio", command: "none", args: [] }
      }
    }).pipe(Layer.provide(instant))
  )
)

// -----------------------------------------------------------------------------
// Real servers
// -----------------------------------------------------------------------------

const started = Effect.acquireRelease(
  Effect.promise(() => listen("rawHttp.mjs")),
  ({ close }) => Effect.sync(close)
)

/** A port of this machine at which nobody listens. */
const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

const http = (url: string, more: object = {}) =>
  ({ transport: "streamable_http", url, protocol: "legacy", healthInterval: 0, ...more }) as const

const failover = Effect.fnUntraced(function*(origin: string) {
  const port = yield* freePort
  const live = Sessions.layer({
    servers: { primary: http(`http://127.0.0.1:${port}/`), secondary: http(`${origin}/slow`) },
    // Nothing is to close the circuit while it is measured.
    circuit: { failures: 4, openFor: "1 hour" },
    retry: RetryPolicy.never
  }).pipe(Layer.provide(AllTransports.layer))
  const both = { servers: ["primary", "secondary"] as const }
  const alone: Array<number> = []
  const closed: Array<number> = []
  const open: Array<number> = []
  for (let round = 0; round < 40; round++) {
    yield* Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions.Sessions
      const call = withFallback(both, (session) => session.callTool("echo", args))
      // Both are warm: the connection of the one, the code of the other.
      yield* callTool("secondary", "echo", args)
      if (round === 0) yield* call
      alone.push(yield* timed(callTool("secondary", "echo", args)))
      closed.push(yield* timed(call))
      for (let n = 0; n < 4; n++) yield* call
      for (let n = 0; n < 10; n++) {
        alone.push(yield* timed(callTool("secondary", "echo", args)))
        open.push(yield* timed(call))
      }
    }).pipe(Effect.provide(Layer.fresh(live)))
  }
  console.log("### Failover from a primary that refuses to a warm secondary (its 2 ms of work included)\n")
  console.log("| | median ms | p99 ms |\n| --- | ---: | ---: |")
  for (
    const [name, values] of [
      ["the secondary alone", alone],
      ["failover, circuit closed", closed],
      ["failover, circuit open", open]
    ] as const
  ) {
    console.log(`| ${name} | ${median(values).toFixed(2)} | ${quantile(values, 0.99).toFixed(2)} |`)
  }
  console.log()
})

/** Latencies of many callers that call one after the other each. */
const latencies = <E>(callers: ReadonlyArray<Effect.Effect<unknown, E>>, calls: number) =>
  Effect.map(
    Effect.forEach(callers, (call) =>
      Effect.gen(function*() {
        const own: Array<number> = []
        for (let n = 0; n < calls; n++) own.push(yield* timed(call))
        return own
      }), { concurrency: "unbounded" }),
    (all) => all.flat()
  )

const report = (
  title: string,
  alone: ReadonlyArray<ReadonlyArray<number>>,
  beside: ReadonlyArray<ReadonlyArray<number>>
) => {
  const ratio = (share: number) =>
    median(beside.map((values, round) => quantile(values, share) / quantile(alone[round] ?? [], share)))
  const of = (runs: ReadonlyArray<ReadonlyArray<number>>, share: number) =>
    median(runs.map((values) => quantile(values, share))).toFixed(2)
  console.log(`### ${title}\n\n| | median ms | p99 ms |\n| --- | ---: | ---: |`)
  console.log(`| alone | ${of(alone, 0.5)} | ${of(alone, 0.99)} |`)
  console.log(`| beside | ${of(beside, 0.5)} | ${of(beside, 0.99)} |`)
  console.log(`| ratio (median of ${alone.length} rounds) | ${ratio(0.5).toFixed(2)} | ${ratio(0.99).toFixed(2)} |\n`)
}

const blastRadius = Effect.fnUntraced(function*(origin: string) {
  const good = Array.from({ length: 19 }, (_, n) => `good ${n}`)
  const live = Sessions.layer({
    servers: Object.fromEntries([
      ...good.map((name) => [name, http(`${origin}/slow`)] as const),
      ["hung", http(`${origin}/hang`)]
    ])
  }).pipe(Layer.provide(AllTransports.layer))
  const alone: Array<ReadonlyArray<number>> = []
  const beside: Array<ReadonlyArray<number>> = []
  yield* Effect.gen(function*() {
    const { callTool } = yield* Sessions.Sessions
    const callers = good.map((name) => callTool(name, "echo", args))
    yield* latencies(callers, 50)
    for (let round = 0; round < rounds; round++) {
      alone.push(yield* latencies(callers, 100))
      const hung = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 64 }), () => Effect.ignore(callTool("hung", "echo", args)), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* Effect.sleep("200 millis")
      beside.push(yield* latencies(callers, 100))
      yield* Fiber.interrupt(hung)
    }
  }).pipe(Effect.provide(live))
  report("19 good servers, beside one with 64 calls that it never answers", alone, beside)
})

const noisyNeighbour = Effect.fnUntraced(function*(origin: string) {
  const quiet = Array.from({ length: 9 }, (_, n) => `quiet ${n}`)
  const alone: Array<ReadonlyArray<number>> = []
  const beside: Array<ReadonlyArray<number>> = []
  const live = Sessions.layer({ servers: { s: http(`${origin}/slow`, { maxInFlightTotal: 16, maxInFlight: 8 }) } })
    .pipe(
      Layer.provide(AllTransports.layer)
    )
  yield* Effect.gen(function*() {
    const { callTool } = yield* Sessions.Sessions
    const of = (owner: string) => callTool("s", "echo", args, { owner })
    const callers = quiet.map(of)
    yield* latencies(callers, 50)
    yield* of("loud")
    for (let round = 0; round < rounds; round++) {
      alone.push(yield* latencies(callers, 100))
      // Ten times the load of each of the others.
      const loud = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 10 }), () => Effect.forever(of("loud")), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* Effect.sleep("100 millis")
      beside.push(yield* latencies(callers, 100))
      yield* Fiber.interrupt(loud)
    }
  }).pipe(Effect.provide(live))
  report("9 owners at one server, beside one with ten times the load of each", alone, beside)
})

const real = Effect.scoped(Effect.gen(function*() {
  const { port } = yield* started
  const origin = `http://127.0.0.1:${port}`
  yield* failover(origin)
  yield* blastRadius(origin)
  yield* noisyNeighbour(origin)
}))

await Effect.runPromise(Effect.andThen(layers, real))
process.exit(0)
