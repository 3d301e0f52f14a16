/**
 * What a fleet costs in good times: a call at the owner and through another node beside a gateway without a router, memory, and the database.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { initialize, post } from "../../test/fixtures/gateway.ts"
import { type Fleet, startFleet } from "../../test/fixtures/gatewayFleet.ts"
import * as Postgres from "../../test/fixtures/postgres.ts"
import { table } from "../../tools/markdown.ts"
import type { Spell } from "../contender.ts"
import { type Started, startGateway, startLeast, stop } from "../gateway/programs.ts"
import type { Measured } from "../gateway/roles.ts"
import { median, medianRatio, takeTurns } from "../rounds.ts"

const [rounds, millis, inFlight, sessionCount] = [9, 300, 16, 500]

const bench = fileURLToPath(new URL("../fleet.ts", import.meta.url))

const started = (program: () => Promise<Started>): Effect.Effect<Started, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(program), (one) => Effect.sync(() => stop(one)))

/** Starts a client in a process of its own. It initializes at one URL, and calls at another. */
const startClient = (...words: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = fork(bench, ["client", ...words])
      await once(child, "message")
      return child
    }),
    (child) => Effect.sync(() => child.disconnect())
  )

const callTable = Effect.fnUntraced(function*({ nodes: [owner, other] }: Fleet, single: Started) {
  const contenders = [
    ["one gateway, no router", yield* startClient(single.url)],
    ["fleet, at the owner", yield* startClient(owner.url, "only_echo")],
    ["fleet, through another node", yield* startClient(owner.url, "only_echo", other.url)]
  ] as const
  const turns = (inFlight: number) =>
    Effect.promise(() =>
      takeTurns({
        contenders,
        rounds,
        measure: async ([, child]) => {
          child.send({ millis, inFlight } satisfies Spell)
          const [measured] = await once(child, "message") as [Measured]
          return measured.perSecond
        }
      })
    )
  yield* turns(inFlight)
  const [alone, together] = [yield* turns(1), yield* turns(inFlight)]
  const ratio = (rates: ReadonlyArray<ReadonlyArray<number>>, index: number) =>
    medianRatio(rates[index] ?? [], rates[0] ?? [])
  const base = { micros: 1_000_000 / median(alone[0] ?? []), perSecond: median(together[0] ?? []) }
  return table(
    ["least server over HTTP", "time of a call", "to one gateway", `calls/s, ${inFlight} in flight`, "to one gateway"],
    contenders.map(([name], index) => {
      const [time, rate] = [1 / ratio(alone, index), ratio(together, index)]
      return [
        name,
        `${Math.round(base.micros * time)} µs`,
        `${time.toFixed(2)}×`,
        Math.round(base.perSecond * rate).toLocaleString("en"),
        `${rate.toFixed(2)}×`
      ]
    })
  )
})

const echo = {
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "only_echo", arguments: { message: "hi" } }
}

/** KiB of the heap of the owner for each session that was used once. */
const heapPerSession = Effect.fnUntraced(function*({ nodes: [owner] }: Fleet) {
  const open = Effect.flatMap(post(owner.url, initialize), ({ session }) => post(owner.url, echo, { session }))
  yield* Effect.repeat(open, { times: 20 })
  const before = yield* owner.heap
  yield* Effect.repeat(open, { times: sessionCount - 1 })
  return ((yield* owner.heap) - before) / sessionCount / 1024
})

const seconds = 10

/** Transactions and bytes of the database in a second, while something happens. */
const databaseLoad = Effect.fnUntraced(function*({ database, databaseName }: Fleet, what: Effect.Effect<void>) {
  const transactions = Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      sql<
        { readonly n: string }
      >`SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = ${databaseName}`
  ).pipe(
    Effect.map(([row]) => Number(row?.n)),
    Effect.provide(Postgres.layer({ maxConnections: 1 })),
    Effect.orDie
  )
  const sample = Effect.map(transactions, (n) => ({ n, bytes: database.passed() + database.received() }))
  const before = yield* sample
  yield* what
  const after = yield* sample
  return [((after.n - before.n) / seconds).toFixed(1), Math.round((after.bytes - before.bytes) / seconds)] as const
})

/** The tables of the costs. */
export const costTables: Effect.Effect<string> = Effect.gen(function*() {
  const least = yield* started(startLeast)
  const servers = { only: { url: least.url } } as const
  const single = yield* started(() => startGateway(servers))
  const fleet = yield* startFleet(servers)
  const { nodes: [owner, other] } = fleet
  const idle = yield* databaseLoad(fleet, Effect.sleep(`${seconds} seconds`))
  const child = yield* startClient(owner.url, "only_echo", other.url)
  let perSecond = 0
  const busy = yield* databaseLoad(
    fleet,
    Effect.promise(async () => {
      child.send({ millis: seconds * 1000, inFlight } satisfies Spell)
      const [measured] = await once(child, "message") as [Measured]
      perSecond = measured.perSecond
    })
  )
  const calls = yield* callTable(fleet, single)
  const heap = yield* heapPerSession(fleet)
  return [
    calls,
    table(["three nodes at the database", "transactions/s", "bytes/s"], [
      ["idle", ...idle],
      [`${Math.round(perSecond).toLocaleString("en")} calls/s through another node`, ...busy]
    ]),
    `A session of a server on HTTP that was used once takes ${heap.toFixed(0)} KiB of the heap of its owner.`
  ].join("\n\n")
}).pipe(Effect.scoped)
