/**
 * Measures what sessions cost beside the wire: calls by way of each layer, failover, recovery, many dead servers, idle sessions.
 * Prints a table; `--write` also writes it to `docs/performance.md`. Memory needs `node --expose-gc` (`pnpm bench`).
 */
import * as FallbackPolicy from "@mcp-sessions/core/FallbackPolicy"
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import * as SessionPool from "@mcp-sessions/core/SessionPool"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as AllTransports from "@mcp-sessions/transports/Transports"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { createServer } from "node:net"
import { replace, table } from "../tools/markdown.ts"
import { listen } from "./processes.ts"
import { scripted } from "./scripted.ts"

const rows: Array<readonly [what: string, limit: string, measured: string]> = []
const report = (what: string, measured: string, limit = ""): void => {
  process.stderr.write(`${what}: ${measured}\n`)
  rows.push([what, limit, measured])
}
const verdict = (value: number, limit: number): string => value <= limit ? "met" : "missed"

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* effect
    return performance.now() - start
  })

/** Makes calls one after another; gives µs for each. */
const perCall = <E, R>(call: Effect.Effect<unknown, E, R>, calls: number) =>
  Effect.map(timed(Effect.repeat(call, { times: calls - 1 })), (millis) => millis / calls * 1000)

const inMemory = { transport: "stdio", command: "none", args: [], healthInterval: 0 } as const
const sessionsOf = (layer: ReturnType<typeof scripted>["layer"]) =>
  Sessions.layer({ servers: { a: inMemory, b: inMemory } }).pipe(Layer.provide(layer))

/** A call by way of each layer, beside one on a session that is held. */
const layers = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const session = yield* sessions.get("a")
  const pool = yield* SessionPool.make({ server: "a" })
  const servers = ["a", "b"] as const
  const plan = yield* sessions.fallbackPlan({ servers })
  const contenders = {
    "`session.callTool` in memory": session.callTool("echo"),
    "`sessions.callTool`": sessions.callTool("a", "echo"),
    "`pool.callTool`": pool.callTool("echo"),
    "`withFallback`": sessions.withFallback({ servers }, (session) => session.callTool("echo")),
    "`fallbackPlan`": Effect.withExecutionPlan(
      Effect.flatMap(FallbackPolicy.CurrentSession, (session) => session.callTool("echo")),
      plan
    )
  }
  const costs = Object.entries(contenders).map(([name, call]) => ({
    name,
    call: Effect.orDie<unknown, Error, never>(call),
    micros: [] as Array<number>
  }))
  for (const { call } of costs) yield* perCall(call, 10_000)
  for (let round = 0; round < 21; round++) {
    for (const { call, micros } of costs) micros.push(yield* perCall(call, 2000))
  }
  const base = median(costs[0]?.micros ?? [])
  for (const { micros, name } of costs) {
    const more = median(micros) - base
    if (more === 0) report(name, `${base.toFixed(1)} µs`)
    else if (name !== "`sessions.callTool`") report(name, `${more.toFixed(1)} µs more`)
    else report(name, `${more.toFixed(1)} µs more, ${verdict(more, 4)}`, "4 µs more than on a held session")
  }
}).pipe(Effect.scoped, Effect.provide(sessionsOf(scripted().layer)))

/** A circuit that is open, and the first call after a lost connection. */
const recovery = Effect.gen(function*() {
  const broken = scripted()
  yield* Effect.gen(function*() {
    const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("a"))
    broken.fail()
    const refused = Effect.flip(session.callTool("echo"))
    for (let call = 0; call < 10; call++) yield* refused
    report("a call that an open circuit refuses", `${(yield* perCall(refused, 20_000)).toFixed(1)} µs`)
  }).pipe(Effect.scoped, Effect.provide(sessionsOf(broken.layer)))
  const times: Array<number> = []
  for (let round = 0; round < 200; round++) {
    const { layer, lose } = scripted()
    times.push(
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("a"))
        yield* session.callTool("echo")
        yield* lose
        return yield* timed(session.callTool("echo"))
      }).pipe(Effect.scoped, Effect.provide(sessionsOf(layer)))
    )
  }
  report("the first call after a lost connection, in memory", `${median(times).toFixed(2)} ms`)
})

const http = await listen("http")
const origin = `http://127.0.0.1:${http.port}`

/** A URL of this machine where nothing listens. */
const refusing = await (async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`
})()

const over = (url: string, more: object = {}) =>
  ({ transport: "streamable_http", url, protocol: "legacy", healthInterval: 0, ...more }) as const

/** From a primary that refuses connections to a secondary that is warm and works for 2 ms. */
const failover = Effect.gen(function*() {
  const live = Sessions.layer({
    servers: { primary: over(refusing), secondary: over(`${origin}/slow`) },
    circuit: { failures: 4, openFor: "1 hour" },
    retry: RetryPolicy.never
  }).pipe(Layer.provide(AllTransports.layer))
  const [alone, closed, open]: ReadonlyArray<Array<number>> = [[], [], []]
  for (let round = 0; round < 30; round++) {
    yield* Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions.Sessions
      const secondary = callTool("secondary", "echo", { message: "hello" })
      const both = withFallback(
        { servers: ["primary", "secondary"] },
        (session) => session.callTool("echo", { message: "hello" })
      )
      yield* secondary
      alone?.push(yield* timed(secondary))
      closed?.push(yield* timed(both))
      for (let call = 0; call < 5; call++) yield* both
      open?.push(yield* timed(both))
    }).pipe(Effect.provide(Layer.fresh(live)))
  }
  const more = (values: ReadonlyArray<number> = []) => `${(median(values) - median(alone ?? [])).toFixed(2)} ms more`
  report("failover from a primary that refuses connections", more(closed), "connect timeout + 50 ms")
  report("the same with the circuit open", more(open), "1 ms")
})

/** Ten good servers among 490 that refuse connections. */
const openAll = Effect.gen(function*() {
  const servers = Object.fromEntries(
    Array.from(
      { length: 500 },
      (_, n) => n % 50 === 49 ? [`good ${n}`, over(`${origin}/json`)] : [`dead ${n}`, over(refusing)]
    )
  )
  const live = Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(Layer.provide(AllTransports.layer))
  const millis = yield* Effect.gen(function*() {
    const sessions = yield* Sessions.Sessions
    return yield* timed(
      sessions.openAll().pipe(
        Stream.filter((opened) => opened._tag === "Usable"),
        Stream.take(10),
        Stream.runDrain
      )
    )
  }).pipe(Effect.scoped, Effect.provide(live))
  report("`openAll`: 10 good servers usable among 490 dead ones", `${millis.toFixed(0)} ms`, "1 s")
})

const heap = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
const descriptors = (): number => readdirSync("/proc/self/fd").length
const owners = Array.from({ length: 1000 }, (_, n) => `owner ${n}`)
const kilobytesEach = (bytes: number): number => bytes / owners.length / 1024

/** The heap of an idle client of the SDK, in KB. */
const sdk = async (): Promise<number> => {
  const before = heap()
  const clients: Array<Client> = []
  for (const name of owners) {
    const client = new Client({ name, version: "1" })
    await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/json`)))
    clients.push(client)
  }
  const used = heap() - before
  await Promise.all(clients.map((client) => client.close()))
  return kilobytesEach(used)
}

const liveOver = (idleTimeToLive: number | string) =>
  Sessions.layer({ servers: { s: over(`${origin}/json`, { idleTimeToLive }) } }).pipe(
    Layer.provide(AllTransports.layer)
  )

const thousand = Effect.gen(function*() {
  const ofSdk = yield* Effect.promise(sdk)
  let closing = 0
  yield* Effect.gen(function*() {
    const before = heap()
    const sessions = yield* Sessions.Sessions
    yield* Effect.forEach(owners, (owner) => sessions.get("s", { owner }), { concurrency: 32, discard: true })
    const each = kilobytesEach(heap() - before)
    const measured = `${each.toFixed(0)} KB, ${verdict(each, 22)}; a client of the SDK: ${ofSdk.toFixed(0)} KB`
    report("heap of an idle HTTP session, of 1,000", measured, "22 KB")
    closing = performance.now()
  }).pipe(Effect.scoped, Effect.provide(liveOver("10 minutes")))
  report("1,000 HTTP sessions closed", `${((performance.now() - closing) / 1000).toFixed(2)} s`, "2 s")
})

const churn = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const open = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }, (_, n) => `owner ${n}`),
      (owner) => sessions.callTool("s", "echo", { message: "hello" }, { owner }),
      { concurrency: 8, discard: true }
    )
  yield* open(1000)
  const before = { heap: heap(), descriptors: descriptors() }
  const millis = yield* timed(open(5000))
  const grown = ((heap() - before.heap) / 1024 ** 2).toFixed(1)
  const measured = `${(millis / 5000).toFixed(2)} ms each; heap ${grown} MB, descriptors ${
    descriptors() - before.descriptors
  } more`
  report("5,000 sessions opened, used and closed", measured, "no growth")
}).pipe(Effect.provide(liveOver(0)))

await Effect.runPromise(layers)
await Effect.runPromise(recovery)
await Effect.runPromise(failover)
await Effect.runPromise(openAll)
await Effect.runPromise(thousand)
await Effect.runPromise(churn)
const text = table(["what", "limit", "measured"], rows)
console.log(text)
if (process.argv.includes("--write")) replace("docs/performance.md", "costs", text)
http.close()
process.exit(0)
