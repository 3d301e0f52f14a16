/**
 * What it costs that connections come and go: a circuit, a lost connection, a thousand sessions, ten thousand one after the other.
 * Run with `pnpm bench`; memory needs `node --expose-gc`.
 */
import * as Circuit from "@mcp-sessions/core/Circuit"
import { fromRequest } from "@mcp-sessions/core/Connection"
import { type CloseReason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as AllTransports from "@mcp-sessions/transports/Transports"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { info, median } from "./harness.ts"
import { listen } from "./processes.ts"

const definition = { transport: "stdio", command: "none", args: [], healthInterval: 0 } as const

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* effect
    return performance.now() - start
  })

/** A connection that answers in the same turn, unless it is told to fail, and that can be lost. */
const scripted = () => {
  let lost = Deferred.makeUnsafe<CloseReason>()
  let isFailing = false
  const layer = Layer.succeed(Transports, {
    transport: () =>
      Layer.succeed(Transport, {
        connect: Effect.suspend(() => {
          const closed = lost = Deferred.makeUnsafe<CloseReason>()
          return fromRequest({
            kind: "memory" as const,
            initialize: Effect.succeed(info),
            request: () =>
              isFailing
                ? Effect.fail(new TransportFailed({ description: "reset", delivery: "Unknown" }))
                : Effect.succeed({ content: [] }),
            onNotification: () => {},
            listen: () => Effect.never,
            setLogLevel: () => Effect.void,
            closed: Deferred.await(closed),
            stderrTail: () => undefined,
            warnings: () => []
          })
        })
      })
  })
  return {
    layer,
    lose: Effect.suspend(() => Deferred.succeed(lost, new TransportClosed({ delivery: "Unknown" }))),
    fail: () => {
      isFailing = true
    }
  }
}

const rounds = 7

const inMemory = Effect.gen(function*() {
  const calls = 50_000
  const many = <E>(call: Effect.Effect<unknown, E>) =>
    Effect.gen(function*() {
      for (let i = 0; i < calls; i++) yield* call
    })
  const costs: Record<string, Array<number>> = { "closed circuit": [], "no circuit": [] }
  for (let round = 0; round < rounds; round++) {
    for (
      const [name, circuit] of [["closed circuit", Circuit.circuitDefault], ["no circuit", Circuit.never]] as const
    ) {
      const { layer } = scripted()
      const micros = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
        Effect.flatMap((session) => timed(many(session.callTool("echo")))),
        Effect.scoped,
        Effect.provide(Sessions.layer({ servers: { s: definition }, circuit }).pipe(Layer.provide(layer)))
      )
      costs[name]?.push(micros / calls * 1000)
    }
  }
  for (const [name, micros] of Object.entries(costs)) console.log(`${name}: ${median(micros).toFixed(2)} µs per call`)

  const open = scripted()
  yield* Effect.gen(function*() {
    const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
    open.fail()
    const refused = Effect.flip(session.callTool("echo"))
    for (let i = 0; i < 10; i++) yield* refused
    const millis = yield* timed(many(refused))
    console.log(`open circuit: ${(millis / calls * 1000).toFixed(1)} µs per refused call`)
  }).pipe(
    Effect.scoped,
    Effect.provide(Sessions.layer({ servers: { s: definition } }).pipe(Layer.provide(open.layer)))
  )

  const times: Array<number> = []
  for (let i = 0; i < 200; i++) {
    const { layer, lose } = scripted()
    times.push(
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        yield* session.callTool("echo")
        yield* lose
        return yield* timed(session.callTool("echo"))
      }).pipe(
        Effect.scoped,
        Effect.provide(Sessions.layer({ servers: { s: definition } }).pipe(Layer.provide(layer)))
      )
    )
  }
  console.log(`first call after a lost connection: ${median(times).toFixed(2)} ms (median of 200, server aside)`)
})

const http = await listen("rawHttp.mjs")
const url = `http://127.0.0.1:${http.port}/json`

const heap = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const fds = (): number => readdirSync("/proc/self/fd").length

const sessionsOf = (idleTimeToLive: number | string) =>
  Sessions.layer({
    servers: { s: { transport: "streamable_http", url, protocol: "legacy", idleTimeToLive, healthInterval: 0 } }
  })
    .pipe(Layer.provide(AllTransports.layer))

const owners = Array.from({ length: 1000 }, (_, n) => `owner ${n}`)

/** A thousand clients of the SDK, for comparison. */
const sdk = async (): Promise<number> => {
  const before = heap()
  const clients: Array<Client> = []
  for (const name of owners) {
    const client = new Client({ name, version: "1" })
    await client.connect(new StreamableHTTPClientTransport(new URL(url)))
    clients.push(client)
  }
  const used = heap() - before
  await Promise.all(clients.map((client) => client.close()))
  return used / owners.length / 1024
}

const thousand = Effect.gen(function*() {
  const sdkHeap = yield* Effect.promise(sdk)
  let closing = 0
  yield* Effect.scoped(Effect.gen(function*() {
    const before = heap()
    const scope = yield* Effect.scope
    const sessions = yield* Sessions.Sessions
    const opening = yield* timed(
      Effect.forEach(owners, (owner) => sessions.get("s", { owner }), { concurrency: 32, discard: true })
    )
    const used = (heap() - before) / owners.length / 1024
    console.log(`1,000 HTTP sessions: opened in ${(opening / 1000).toFixed(2)} s, 32 at a time`)
    console.log(`heap of each while idle: ${used.toFixed(0)} KB, a client of the SDK ${sdkHeap.toFixed(0)} KB`)
    closing = performance.now()
    void scope
  })).pipe(Effect.provide(sessionsOf("10 minutes")))
  console.log(`closed in ${((performance.now() - closing) / 1000).toFixed(2)} s`)
})

const churn = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const turns = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }, (_, n) => n),
      (n) => sessions.callTool("s", "echo", {}, { owner: `o${n}` }),
      { concurrency: 8, discard: true }
    )
  yield* turns(1000)
  const before = { heap: heap(), fds: fds(), rss: process.memoryUsage().rss }
  const millis = yield* timed(turns(10_000))
  const after = { heap: heap(), fds: fds(), rss: process.memoryUsage().rss }
  const mega = (bytes: number) => (bytes / 1024 ** 2).toFixed(1)
  console.log(
    `10,000 sessions opened, used and closed: ${(millis / 10_000).toFixed(2)} ms each; heap ${
      mega(after.heap - before.heap)
    } MB, resident ${mega(after.rss - before.rss)} MB, descriptors ${
      after.fds - before.fds
    } more than after the first 1,000`
  )
}).pipe(Effect.provide(sessionsOf(0)))

await Effect.runPromise(Effect.andThen(inMemory, Effect.andThen(thousand, churn)))
http.close()
