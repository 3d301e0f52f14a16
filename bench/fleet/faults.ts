/**
 * Faults of a fleet under load: how long reads wait, and what becomes of tool calls. The ledger of the server says which tools ran.
 */
import * as Clock from "effect/Clock"
import { make as runnerAddress } from "effect/cluster/RunnerAddress"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { fixture } from "../../test/fixtures/fixture.ts"
import { accountOf, during, type Ended } from "../../test/fixtures/fleetLoad.ts"
import { initialize, post } from "../../test/fixtures/gateway.ts"
import { type Fleet, type Node, startFleet, untilReady } from "../../test/fixtures/gatewayFleet.ts"
import { makeLedger } from "../../test/fixtures/ledger.ts"
import { table } from "../../tools/markdown.ts"
import { ownersOf, shards } from "./placement.ts"

const read = { jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri: "note://1" } }

/** How long nodes may take to know the owners of all sessions. */
const readyTimeout = "60 seconds"

const untilOwned = (nodes: ReadonlyArray<Node>) =>
  Effect.forEach(nodes, untilReady, { concurrency: "unbounded", discard: true }).pipe(
    Effect.timeout(readyTimeout),
    Effect.orDie
  )

/** Stops a node, waits until its sessions have another owner, and goes on. */
const losing = (lost: Node, others: readonly [Node, ...Array<Node>], stop: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const { session } = yield* post(lost.url, initialize)
    yield* stop
    yield* post(others[0].url, read, { session })
    yield* untilOwned(others)
  })

const cuts = 30

/** Closes the connections of other nodes to a node, again and again. */
const cutting = ({ links }: Node) =>
  Effect.sync(() => {
    for (const link of links) link.cut()
  }).pipe(Effect.repeat(Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: cuts - 1 }))))

/** The name that `effect/cluster` gives to the check of its runners, which runs on one node. */
const healthCheck = "effect/cluster/Sharding/RunnerHealth"

/** The node that checks whether the others answer, and the others. */
const splitByHealthCheck = Effect.fnUntraced(function*(nodes: ReadonlyArray<Node>) {
  const addresses = nodes.map(({ links }) => runnerAddress("127.0.0.1", links[0]?.port ?? 0))
  const owner = ownersOf(addresses)[(yield* shards)(healthCheck) - 1]
  const host = nodes.find((_, index) => Equal.equals(addresses[index], owner))
  const [second, third] = nodes.filter((node) => node !== host)
  if (host === undefined || second === undefined || third === undefined) {
    return yield* Effect.die(new Error("the node of the health check is not known"))
  }
  return { host, others: [second, third] as const }
})

interface Row {
  readonly cells: ReadonlyArray<string | number>
  /** What breaks a promise: a tool that ran twice, a lost read, a limit. */
  readonly violations: ReadonlyArray<string>
}

interface Limit {
  readonly text: string
  readonly isMet: boolean
}

const inSeconds = (time: number): string => `${(time / 1000).toFixed(1)} s`

const longestOf = (ended: ReadonlyArray<Ended>): number => Math.max(0, ...ended.map(({ time }) => time))

type Loaded = Effect.Success<ReturnType<typeof during>>

const rowOf = (title: string, loaded: Loaded, limitOf: (loaded: Loaded) => Limit): Row => {
  const { reads, tools, twice, unknown, unsent, wrong } = accountOf(loaded)
  const failed = loaded.ended.filter(({ kind, outcome }) => kind === "read" && outcome !== "answered")
  const lost = failed.filter(({ outcome }) => outcome !== "unsent")
  const longest = longestOf(loaded.ended.filter(({ kind, outcome }) => kind === "read" && outcome === "answered"))
  const limit = limitOf(loaded)
  const problems = { "tools ran twice": twice, "tools ended as something else": wrong, "reads were lost": lost }
  return {
    cells: [
      title,
      reads,
      failed.length,
      inSeconds(longest),
      tools,
      unknown,
      unsent,
      twice.length,
      `${limit.text}: ${limit.isMet ? "met" : "missed"}`
    ],
    violations: [
      ...Object.entries(problems).flatMap(([problem, { length }]) =>
        length === 0 ? [] : [`${title}: ${length} ${problem}`]
      ),
      ...(limit.isMet ? [] : [
        `${title}: ${limit.text}`,
        ...failed.slice(0, 3).map(({ text, time }) => `${title}: a read failed after ${time} ms: ${text}`)
      ])
    ]
  }
}

/** Every read has a result, within so many seconds. */
const readsWithin = (most: number) => ({ ended }: Loaded): Limit => {
  const reads = ended.filter(({ kind }) => kind === "read")
  const isMet = reads.every(({ outcome, time }) => outcome === "answered" && time <= most * 1000)
  return { text: `all reads within ${most} s`, isMet }
}

/** How long the database is away. */
const absence = "30 seconds"

/** The database goes away, comes back, and each session can be read again. Gives when it went, and how long the last session took after it. */
const databaseAway = Effect.fnUntraced(function*({ database }: Fleet, nodes: ReadonlyArray<Node>) {
  const sessions = yield* Effect.forEach(nodes, ({ url }) => post(url, initialize))
  const leftAt = yield* Clock.currentTimeMillis
  database.leave()
  yield* Effect.sleep(absence)
  database.comeBack()
  const from = yield* Clock.currentTimeMillis
  yield* Effect.forEach(
    sessions,
    ({ session }, index) =>
      Effect.repeat(post(nodes[(index + 1) % nodes.length]?.url ?? "", read, { session }), {
        while: ({ text }) => text.includes("NoOwner")
      }),
    { concurrency: "unbounded" }
  )
  yield* untilOwned(nodes)
  return { leftAt, back: (yield* Clock.currentTimeMillis) - from }
})

/** How long a node may take to end. */
const endTimeout = "20 seconds"

/** Ends each node in order and starts another one for it. No new requests are sent to a node that ends, as a balancer would see to. Gives how many nodes did not end. */
const rollingRestart = Effect.fnUntraced(function*({ join }: Fleet, nodes: Array<Node>) {
  let stuck = 0
  for (const leaving of nodes.slice()) {
    nodes.splice(nodes.indexOf(leaving), 1)
    yield* leaving.signal("SIGTERM")
    const ended = yield* Effect.timeoutOption(leaving.exited, endTimeout)
    if (Option.isNone(ended)) {
      stuck++
      yield* leaving.signal("SIGKILL")
      yield* leaving.exited
    }
    const joined = yield* join
    yield* untilOwned([...nodes, joined])
    nodes.push(joined)
  }
  return stuck
})

/** The table of the faults, and what breaks a promise. */
export const measureFaults = Effect.gen(function*() {
  const { file, read: ledger } = yield* makeLedger
  const fleet = yield* startFleet({
    only: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] }
  })
  const rows: Array<Row> = []
  const measure = (
    { homes, limit, name, nodes, title, what }: {
      readonly name: string
      readonly title: string
      readonly homes: ReadonlyArray<Node>
      readonly nodes: ReadonlyArray<Node>
      readonly what: Effect.Effect<void, never, Scope.Scope>
      readonly limit: (loaded: Loaded) => Limit
    }
  ) =>
    Effect.gen(function*() {
      process.stderr.write(`${title}\n`)
      const row = rowOf(title, yield* during({ name, ledger, homes, nodes, what }), limit)
      process.stderr.write(`${row.cells.join(" | ")}\n`)
      rows.push(row)
    })

  let alive: ReadonlyArray<Node> = fleet.nodes
  for (const [index, node] of fleet.nodes.entries()) {
    yield* measure({
      name: `cut${index}`,
      title: `connections of the others to node ${index + 1} cut, ${cuts} times`,
      homes: alive,
      nodes: alive,
      what: Effect.andThen(cutting(node), untilOwned(alive)),
      limit: readsWithin(10)
    })
  }

  const [first, second, third] = fleet.nodes
  yield* measure({
    name: "frozen",
    title: "SIGSTOP of a node past the expiry of its locks, then SIGCONT",
    homes: alive,
    nodes: [first, third],
    what: Effect.andThen(
      losing(second, [first, third], second.signal("SIGSTOP")),
      Effect.andThen(second.signal("SIGCONT"), untilOwned(alive))
    ),
    limit: readsWithin(10)
  })

  const kill = (name: string, title: string, lost: Node, others: readonly [Node, Node]) =>
    Effect.gen(function*() {
      yield* measure({
        name,
        title,
        homes: alive,
        nodes: others,
        what: losing(lost, others, lost.signal("SIGKILL")),
        limit: readsWithin(10)
      })
      alive = [...others, yield* fleet.join]
      yield* untilOwned(alive)
    })
  const checked = yield* splitByHealthCheck(alive)
  const [victim, witness] = checked.others
  yield* kill("killed", "SIGKILL of a node that owns sessions", victim, [checked.host, witness])
  const again = yield* splitByHealthCheck(alive)
  yield* kill("host", "SIGKILL of the node that hosts the health check", again.host, again.others)

  const balanced = [...alive]
  let stuck = 0
  yield* measure({
    name: "rolling",
    title: "rolling restart of all three",
    homes: alive,
    nodes: balanced,
    what: Effect.map(rollingRestart(fleet, balanced), (count) => void (stuck = count)),
    limit: ({ ended }) => {
      const reads = ended.filter(({ kind }) => kind === "read")
      const share = reads.filter(({ outcome }) => outcome === "answered").length / reads.length
      return {
        text: `99.9 % of reads succeed (${(share * 100).toFixed(2)} %), and all nodes end${
          stuck === 0 ? "" : ` (${stuck} did not)`
        }`,
        isMet: share >= 0.999 && stuck === 0
      }
    }
  })
  alive = balanced

  let away = { leftAt: 0, back: 0 }
  yield* measure({
    name: "away",
    title: "PostgreSQL away for 30 s",
    homes: alive,
    nodes: alive,
    what: Effect.map(databaseAway(fleet, alive), (times) => void (away = times)),
    limit: ({ ended }) => {
      const [slowest] = ended.filter(({ outcome }) => outcome === "unsent").toSorted((a, b) => b.time - a.time)
      const { at = 0, time = 0 } = slowest ?? {}
      const begun = inSeconds(at - away.leftAt)
      return {
        text: `requests fail typed within 2 s (${
          inSeconds(time)
        }, begun ${begun} after it went), all back within 25 s (${inSeconds(away.back)})`,
        isMet: time <= 2000 && away.back <= 25_000
      }
    }
  })

  const head = ["fault", "reads", "failed", "longest", "tools", "unknown", "not sent", "twice", "limit"]
  return {
    text: table(head, rows.map(({ cells }) => cells)),
    violations: rows.flatMap(({ violations }) => violations)
  }
}).pipe(Effect.scoped)
