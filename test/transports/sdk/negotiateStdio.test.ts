/**
 * The negotiation of the era with processes that start slowly, refuse, stay silent, exit, or are replaced by another program.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { fixture, isAlive, makeLedger, until } from "../../fixtures/peer.ts"

type Behaviour = Readonly<Record<string, unknown>>

const program = Effect.map(makeLedger, ({ file, read }) => ({
  definition: {
    transport: "stdio" as const,
    command: process.execPath,
    args: [fixture("eraServer.ts"), file],
    probeTimeout: "3 seconds" as const,
    connectTimeout: "30 seconds" as const
  },
  read,
  behave: (behaviour: Behaviour) => writeFileSync(`${file}.behaviour`, JSON.stringify(behaviour)),
  openGate: () => writeFileSync(`${file}.gate`, "")
}))

type Program = Effect.Success<typeof program>

const layerOf = (
  definition: Program["definition"],
  more: object = {},
  retry: RetryPolicy.RetryPolicy = RetryPolicy.never
) =>
  Sessions.layer({ servers: { s: { ...definition, ...more } }, retry }).pipe(
    Layer.provide(Transports.layer)
  )

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

/** Connects a server that behaves so, while `meanwhile` runs, and returns the session's info. */
const connectTo = <A>(
  behaviour: Behaviour,
  meanwhile: (program: Program, connecting: Fiber.Fiber<unknown, unknown>) => Effect.Effect<A>,
  more: object = {}
) =>
  Effect.gen(function*() {
    const started = yield* program
    started.behave(behaviour)
    return yield* Effect.gen(function*() {
      const connecting = yield* Effect.forkChild(
        Effect.result(Effect.flatMap(get, (session) => session.connect)),
        { startImmediately: true }
      )
      const value = yield* meanwhile(started, connecting)
      const connected = yield* Fiber.join(connecting)
      return { ...started, value, connected }
    }).pipe(Effect.scoped, Effect.provide(layerOf(started.definition, more)))
  })

const count = ({ read }: Pick<Program, "read">, method: string) =>
  read("message").filter((message) => message === method).length

const ledgerOf = (program: Pick<Program, "read">) => ({
  starts: program.read("process").length,
  discover: count(program, "server/discover"),
  initialize: count(program, "initialize")
})

const eraOf = (connected: { readonly _tag: string }) =>
  "success" in connected ? (connected.success as { readonly era: string }).era : "not connected"

const started = (program: Pick<Program, "read">, starts = 1) =>
  TestClock.withLive(until(() => program.read("process"), (pids) => pids.length === starts))

const received = (program: Pick<Program, "read">, method: string) =>
  TestClock.withLive(until(() => count(program, method), (times) => times > 0))

describe("a stdio server that starts slowly", () => {
  for (
    const [initialize, title] of [["duplicate", "refuses"], ["legacy", "accepts"]] as const
  ) {
    it.effect(`is of the modern era although it ${title} the initialize that was sent meanwhile`, () =>
      Effect.gen(function*() {
        const ran = yield* connectTo(
          { discover: "modern", initialize, isHeldBack: true },
          (program) =>
            Effect.gen(function*() {
              yield* started(program)
              yield* TestClock.adjust("4 seconds")
              program.openGate()
              // The second probe is sent behind initialize. The answer to the first settles the era, perhaps before the server has read it.
              yield* TestClock.withLive(until(() => count(program, "server/discover"), (times) => times === 2))
            })
        )
        assert.strictEqual(eraOf(ran.connected), "modern")
        assert.deepStrictEqual(ledgerOf(ran), { starts: 1, discover: 2, initialize: 1 })
        assert.deepStrictEqual(ran.read("process").filter(isAlive), [])
      }).pipe(Effect.scoped))
  }

  for (
    const [title, connectTimeout, era, starts, discover] of [
      ["is started once more for the modern era", "30 seconds", "modern", 2, 4],
      ["is used in the legacy era, without time for another start,", "9 seconds", "legacy", 2, 3]
    ] as const
  ) {
    it.effect(`${title} if the initialize that was sent meanwhile has turned it`, () =>
      Effect.gen(function*() {
        const server = yield* program
        server.behave({ discover: "first", initialize: "legacy", isHeldBack: true })
        yield* Effect.gen(function*() {
          const sessions = yield* Sessions.Sessions
          const connecting = yield* Effect.forkChild(
            Effect.flatMap(sessions.open("s"), (session) => Effect.tap(session.connect, () => session.callTool("x"))),
            { startImmediately: true }
          )
          yield* started(server)
          yield* TestClock.adjust("4 seconds")
          server.openGate()
          assert.strictEqual((yield* Fiber.join(connecting)).era, era)
          const next = yield* Effect.flatMap(sessions.open("s"), (session) => session.connect)
          assert.strictEqual(next.era, "modern")
        }).pipe(Effect.scoped, Effect.provide(layerOf(server.definition, { connectTimeout })))
        assert.deepStrictEqual(ledgerOf(server), {
          starts: starts + (era === "modern" ? 1 : 0),
          discover,
          initialize: 1
        })
      }).pipe(Effect.scoped))
  }

  it.effect("has until the connect deadline where the definition pins the revision, and never receives initialize", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo(
        { discover: "modern", initialize: "duplicate", isHeldBack: true },
        (program) =>
          Effect.gen(function*() {
            yield* started(program)
            yield* TestClock.adjust("29 seconds")
            program.openGate()
          }),
        { protocol: "2026-07-28" }
      )
      assert.strictEqual(eraOf(ran.connected), "modern")
      assert.deepStrictEqual(ledgerOf(ran), { starts: 1, discover: 1, initialize: 0 })
    }).pipe(Effect.scoped))

  it.effect("is not taken for a legacy server by a refusal of initialize while the probe is open", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo(
        { discover: "late", initialize: "refused" },
        (program, connecting) =>
          Effect.gen(function*() {
            yield* received(program, "server/discover")
            yield* TestClock.adjust("3 seconds")
            yield* TestClock.withLive(until(() => program.read("answer"), (answers) => answers.length === 1))
            yield* TestClock.adjust("20 seconds")
            assert.isUndefined(connecting.pollUnsafe())
            program.openGate()
          })
      )
      assert.strictEqual(eraOf(ran.connected), "modern")
      assert.deepStrictEqual(ledgerOf(ran), { starts: 1, discover: 1, initialize: 1 })
    }).pipe(Effect.scoped))

  it.effect("fails at the connect deadline with its refusal, where the probe stays unanswered", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo({ discover: "silent", initialize: "refused" }, (program) =>
        Effect.gen(function*() {
          yield* received(program, "server/discover")
          yield* TestClock.adjust("3 seconds")
          yield* TestClock.withLive(until(() => program.read("answer"), (answers) => answers.length === 1))
          yield* TestClock.adjust("27 seconds")
        }))
      const error = "failure" in ran.connected ? ran.connected.failure : undefined
      assert.strictEqual((error as Error).message, "s: duplicate initialize")
      assert.deepStrictEqual(ledgerOf(ran), { starts: 1, discover: 1, initialize: 1 })
    }).pipe(Effect.scoped))
})

describe("a stdio server that does not answer the probe", () => {
  it.effect("receives initialize exactly at the time limit of the probe, and is probed again for the next connection", () =>
    Effect.gen(function*() {
      const server = yield* program
      server.behave({ discover: "silent", initialize: "legacy" })
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        for (const round of [1, 2]) {
          const connecting = yield* Effect.forkChild(
            Effect.flatMap(sessions.open("s"), (session) => session.connect),
            { startImmediately: true }
          )
          yield* TestClock.withLive(until(() => count(server, "server/discover"), (times) => times === round))
          yield* TestClock.adjust("2999 millis")
          assert.strictEqual(count(server, "initialize"), round - 1)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(connecting)).era, "legacy")
        }
      }).pipe(Effect.scoped, Effect.provide(layerOf(server.definition)))
      assert.deepStrictEqual(ledgerOf(server), { starts: 2, discover: 2, initialize: 2 })
    }).pipe(Effect.scoped))
})

describe("a stdio server that refuses both messages", () => {
  it.effect("is started once more for initialize alone", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo({ discover: "unknown", initialize: "first" }, () => Effect.void)
      assert.strictEqual(eraOf(ran.connected), "legacy")
      assert.deepStrictEqual(ledgerOf(ran), { starts: 2, discover: 1, initialize: 2 })
      assert.deepStrictEqual(ran.read("process").filter(isAlive), [])
    }).pipe(Effect.scoped))

  it.effect("fails with its own words after two starts", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo({ discover: "unknown", initialize: "refused" }, () => Effect.void)
      const error = "failure" in ran.connected ? ran.connected.failure : undefined
      assert.strictEqual((error as Error).message, "s: duplicate initialize")
      assert.deepStrictEqual(ledgerOf(ran), { starts: 2, discover: 1, initialize: 2 })
      assert.deepStrictEqual(ran.read("process").filter(isAlive), [])
    }).pipe(Effect.scoped))
})

describe("a stdio server that sends requests before the era is known", () => {
  it.effect("gets its ping answered, and refused what no handler answers", () =>
    Effect.gen(function*() {
      const ran = yield* connectTo({ discover: "unknown", initialize: "legacy", pings: true }, () => Effect.void)
      assert.strictEqual(eraOf(ran.connected), "legacy")
      assert.sameDeepMembers(ran.read("answer").map((line) => JSON.parse(line)), [
        { jsonrpc: "2.0", id: "p", result: {} },
        { jsonrpc: "2.0", id: "r", error: { code: -32601, message: "Method not found" } }
      ])
      assert.deepStrictEqual(ledgerOf(ran), { starts: 1, discover: 1, initialize: 1 })
    }).pipe(Effect.scoped))
})

describe("a stdio server that was legacy", () => {
  for (const initialize of ["refused", "exit"] as const) {
    const title = initialize === "exit" ? "exits on initialize" : "refuses initialize"
    it.live(`is met as a modern one by the connect in which it ${title}`, () =>
      Effect.gen(function*() {
        const server = yield* program
        server.behave({ discover: "unknown", initialize: "legacy" })
        yield* Effect.gen(function*() {
          const session = yield* get
          const before = yield* session.connect
          assert.strictEqual(before.era, "legacy")
          server.behave({ discover: "modern", initialize })
          process.kill(before.pid ?? 0, "SIGKILL")
          yield* until(() => isAlive(before.pid ?? 0), (alive) => !alive)
          yield* session.callTool("x", {}, { idempotent: true })
          assert.strictEqual((yield* session.connect).era, "modern")
        }).pipe(
          Effect.scoped,
          // The call may be written to the process that was killed.
          Effect.provide(layerOf(server.definition, {}, RetryPolicy.spaced({ retries: 1, delay: 0 })))
        )
        const starts = initialize === "exit" ? 3 : 2
        assert.deepStrictEqual(ledgerOf(server), { starts, discover: 2, initialize: 2 })
      }).pipe(Effect.scoped))
  }

  it.live("is probed again after a restart of the session by hand", () =>
    Effect.gen(function*() {
      const server = yield* program
      server.behave({ discover: "unknown", initialize: "legacy" })
      yield* Effect.gen(function*() {
        const session = yield* get
        yield* session.connect
        server.behave({ discover: "modern", initialize: "legacy" })
        yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.restart("s"))
        assert.strictEqual((yield* session.connect).era, "modern")
      }).pipe(Effect.scoped, Effect.provide(layerOf(server.definition)))
      assert.deepStrictEqual(ledgerOf(server), { starts: 2, discover: 2, initialize: 1 })
    }).pipe(Effect.scoped))
})
