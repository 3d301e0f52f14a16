/**
 * A7, hundreds of cycles: sessions open and close repeatedly, and some fail to open. A separate program runs the cycles,
 * so that every resource left at its end belongs to this library. The servers keep their own ledgers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { fixture, http, makeLedger, net, until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"

/** The largest growth of memory per cycle, in bytes. A leaked session would be many times larger. */
const heapForEach = 8000

interface Left {
  readonly listeners: Record<string, number>
  readonly descriptors: number
  readonly resources: ReadonlyArray<string>
  readonly children: number
  readonly heap: number
}

interface Told {
  readonly before: Left
  readonly after: Left
  readonly outcomes: Record<string, number>
  readonly warnings: ReadonlyArray<string>
}

const run = promisify(execFile)

const cycles = (counts: Record<string, number>, definitions: object) =>
  Effect.promise(async (): Promise<Told> => {
    const words = Object.entries(counts).map(([name, count]) => `${name}=${count}`)
    const program = ["--expose-gc", fixture("cycles.ts"), ...words, JSON.stringify(definitions)]
    const { stdout } = await run(process.execPath, program)
    return JSON.parse(stdout)
  })

describe("A7: repeated cycles of opening and closing", () => {
  it.live(
    "leave no listener, timer, descriptor, socket, process or memory, and delete every session",
    () =>
      Effect.gen(function*() {
        const stateful = yield* http("v1").start
        const old = yield* net("sse", "v1").start
        const socket = yield* net("websocket", "v1").start
        const { file, read } = yield* makeLedger
        const unwilling = yield* Http.start(({ response }) => {
          response.writeHead(401).end()
          return true
        })
        const mute = yield* Http.start(() => true)
        const legacy = { protocol: "legacy" as const }
        const counts = {
          stateful: 300,
          old: 80,
          socket: 80,
          process: 50,
          missing: 30,
          refused: 30,
          unwilling: 30,
          mute: 30
        }
        const all = Object.values(counts).reduce((sum, count) => sum + count)
        const { after, before, outcomes, warnings } = yield* cycles(counts, {
          stateful: { ...stateful.config, ...legacy },
          old: old.config,
          socket: { ...socket.config, ...legacy },
          process: {
            ...legacy,
            transport: "stdio",
            command: process.execPath,
            args: [fixture("faultyStdio.mjs"), "plain", file]
          },
          missing: { transport: "stdio", command: "no-such-command", args: [] },
          refused: { transport: "streamable_http", url: "http://127.0.0.1:1/mcp" },
          unwilling: { ...legacy, transport: "streamable_http", url: unwilling.url },
          mute: { ...legacy, transport: "streamable_http", url: mute.url, connectTimeout: 50 }
        })
        assert.deepStrictEqual(outcomes, {
          "stateful ok": counts.stateful,
          "old ok": counts.old,
          "socket ok": counts.socket,
          "process ok": counts.process,
          "missing SpawnFailed": counts.missing,
          "refused ConnectionRefused": counts.refused,
          "unwilling AuthRequired": counts.unwilling,
          "mute ConnectTimeout": counts.mute
        })
        assert.deepStrictEqual({ ...after, heap: 0 }, { ...before, heap: 0 })
        assert.strictEqual(after.children, 0)
        assert.notMatch(String(after.resources), /TCP|Process|Timeout/)
        assert.isBelow((after.heap - before.heap) / all, heapForEach)
        assert.deepStrictEqual(warnings, [])
        // The expected number includes the warm-up rounds.
        assert.strictEqual(stateful.ledger("session").length, counts.stateful + counts.stateful / 10)
        assert.deepStrictEqual(stateful.ledger("delete").toSorted(), stateful.ledger("session").toSorted())
        assert.strictEqual(read("process").length, counts.process + counts.process / 10)
        for (const { leftovers } of [stateful, old, socket]) yield* until(leftovers, (left) => left.length === 0)
        for (const { sockets } of [unwilling, mute]) yield* until(sockets, (count) => count === 0)
      }).pipe(Effect.scoped)
  )
})
