/**
 * Measures what sessions cost beside the wire: calls by way of each layer, failover, many dead servers, idle sessions.
 * Prints a table; `--write` also writes it to `docs/performance.md`. Memory needs `node --expose-gc` (`pnpm bench`).
 */
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as SessionPool from "@mcp-sessions/core/SessionPool"
import { layer, Sessions } from "@mcp-sessions/core/Sessions"
import * as Memory from "@mcp-sessions/transports/Memory"
import * as AllTransports from "@mcp-sessions/transports/Transports"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { Program } from "../test/otherClients/Program.ts"
import { replace, table } from "../tools/markdown.ts"
import { serve } from "./inMemory.ts"
import { median, takeTurns } from "./rounds.ts"
import { heap } from "./soak/vitals.ts"

const rows: Array<readonly [what: string, limit: string, measured: string]> = []
const report = (what: string, measured: string, limit = ""): void => {
  process.stderr.write(`${what}: ${measured}\n`)
  rows.push([what, limit, measured])
}
const verdict = (value: number, limit: number): string => value <= limit ? "met" : "missed"

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* effect
    return performance.now() - start
  })

/** Makes calls one after another; gives µs for each. */
const perCall = <E, R>(call: Effect.Effect<unknown, E, R>, calls: number) =>
  Effect.map(timed(Effect.repeat(call, { times: calls - 1 })), (millis) => millis / calls * 1000)

const inMemory: ServerConfigInput = { transport: "stdio", command: "none", protocol: "legacy", healthInterval: 0 }

/** A call by way of each layer, beside one on a session that is held. */
const layers = Effect.gen(function*() {
  const sessions = yield* Sessions
  const session = yield* sessions.get("a")
  const pool = yield* SessionPool.make({ server: "a" })
  const contenders: ReadonlyArray<Effect.Effect<unknown, Error>> = [
    session.callTool("echo"),
    sessions.callTool("a", "echo"),
    pool.callTool("echo"),
    sessions.withFallback({ servers: ["a", "b"] }, (session) => session.callTool("echo"))
  ]
  for (const call of contenders) yield* perCall(call, 10_000)
  const run = Effect.runPromiseWith(yield* Effect.context())
  const measured = yield* Effect.promise(() =>
    takeTurns({ contenders, rounds: 21, measure: (call) => run(perCall(call, 2000)) })
  )
  const [held = Number.NaN, ...others] = measured.map(median)
  const [taken = 0, pooled = 0, failover = 0] = others.map((micros) => micros - held)
  report("`session.callTool` in memory", `${held.toFixed(1)} µs`)
  report("`sessions.callTool`", `${taken.toFixed(1)} µs more, ${verdict(taken, 4)}`, "4 µs more than on a held session")
  report("`pool.callTool`", `${pooled.toFixed(1)} µs more`)
  report("`withFallback`", `${failover.toFixed(1)} µs more`)
}).pipe(
  Effect.scoped,
  Effect.provide(
    layer({ servers: { a: inMemory, b: inMemory } }).pipe(
      Layer.provide(Memory.layerTransports({ a: serve, b: serve }))
    )
  )
)

const startHttp = () => new Program([fileURLToPath(new URL("fixtures/server.mjs", import.meta.url)), "http"]).start()
const http = await startHttp()
const gone = await startHttp()
await gone.stop()
const good = (path: string) => `http://127.0.0.1:${http.port}/${path}`
/** A URL of this machine where nothing listens. */
const refusing = `http://127.0.0.1:${gone.port}/`

const over = (url: string, more: object = {}): ServerConfigInput => ({
  transport: "streamable_http",
  url,
  protocol: "legacy",
  healthInterval: 0,
  ...more
})

const liveOver = (servers: Readonly<Record<string, ServerConfigInput>>) =>
  layer({ servers, retry: RetryPolicy.never, circuit: { failures: 4, openFor: "1 hour" } }).pipe(
    Layer.provide(AllTransports.layer)
  )

/** From a primary that refuses connections to a secondary that is warm and works for 2 ms. */
const failover = Effect.gen(function*() {
  const live = liveOver({ primary: over(refusing), secondary: over(good("slow")) })
  const more: { readonly closed: Array<number>; readonly open: Array<number> } = { closed: [], open: [] }
  for (let round = 0; round < 30; round++) {
    yield* Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions
      const secondary = callTool("secondary", "echo", { message: "hello" })
      const both = withFallback(
        { servers: ["primary", "secondary"] },
        (session) => session.callTool("echo", { message: "hello" })
      )
      yield* secondary
      more.closed.push(-(yield* timed(secondary)) + (yield* timed(both)))
      for (let call = 0; call < 5; call++) yield* both
      more.open.push(-(yield* timed(secondary)) + (yield* timed(both)))
    }).pipe(Effect.provide(Layer.fresh(live)))
  }
  const show = (values: ReadonlyArray<number>) => `${median(values).toFixed(2)} ms more`
  report("failover from a primary that refuses connections", show(more.closed), "connect timeout + 50 ms")
  report("the same with the circuit open", show(more.open), "1 ms")
})

const numbered = <A>(count: number, each: (n: number) => A): Array<A> =>
  Array.from({ length: count }, (_, n) => each(n))

/** Ten good servers among 490 that refuse connections. */
const openAll = Effect.gen(function*() {
  const servers = numbered(
    500,
    (n) => n % 50 === 49 ? [`good ${n}`, over(good("json"))] as const : [`dead ${n}`, over(refusing)] as const
  )
  const usable = Effect.gen(function*() {
    const { openAll } = yield* Sessions
    const opened = Stream.filter(openAll(), (opened) => opened._tag === "Usable")
    return yield* timed(Stream.runDrain(Stream.take(opened, 10)))
  })
  const millis = yield* usable.pipe(Effect.scoped, Effect.provide(liveOver(Object.fromEntries(servers))))
  report("`openAll`: 10 good servers usable among 490 dead ones", `${millis.toFixed(0)} ms`, "1 s")
})

/** The heap that each of 1,000 takes, in KB. */
const heapOfEach = (before: number): number => (heap() - before) / 1000 / 1024

/** The heap of an idle client of the SDK, in KB. */
const sdk = async (): Promise<number> => {
  const before = heap()
  const clients = numbered(1000, (n) => new Client({ name: `${n}`, version: "1" }))
  for (const client of clients) await client.connect(new StreamableHTTPClientTransport(new URL(good("json"))))
  const each = heapOfEach(before)
  await Promise.all(clients.map((client) => client.close()))
  return each
}

const thousand = Effect.gen(function*() {
  const ofSdk = yield* Effect.promise(sdk)
  let closing = 0
  yield* Effect.gen(function*() {
    const before = heap()
    const sessions = yield* Sessions
    const owners = numbered(1000, (n) => `owner ${n}`)
    yield* Effect.forEach(owners, (owner) => sessions.get("s", { owner }), { concurrency: 32, discard: true })
    const each = heapOfEach(before)
    const measured = `${each.toFixed(0)} KB, ${verdict(each, 22)}; a client of the SDK: ${ofSdk.toFixed(0)} KB`
    report("heap of an idle HTTP session, of 1,000", measured, "22 KB")
    closing = performance.now()
  }).pipe(Effect.scoped, Effect.provide(liveOver({ s: over(good("json"), { idleTimeToLive: "10 minutes" }) })))
  report("1,000 HTTP sessions closed", `${((performance.now() - closing) / 1000).toFixed(2)} s`, "2 s")
})

for (const measure of [layers, failover, openAll, thousand]) await Effect.runPromise(measure)
const text = table(["what", "limit", "measured"], rows)
console.log(text)
if (process.argv.includes("--write")) replace("docs/performance.md", "costs", text)
process.exit(0)
