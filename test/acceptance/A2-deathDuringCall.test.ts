/**
 * A2, death in mid-call: a server process is killed while it runs a tool. Its own ledger records the calls that it ran.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { fixture, isAlive, makeLedger } from "../fixtures/peer.ts"
import * as Scripted from "../fixtures/scripted.ts"
import { sound } from "../fixtures/soundOptions.ts"

const mortal = (file: string, trusted = false) => ({
  transport: "stdio" as const,
  command: process.execPath,
  args: [fixture("faultyStdio.mjs"), "mortal", file],
  protocol: "legacy" as const,
  trusted
})

/** Arguments of a call that kills the server process, for the given number of processes, once it has received as many such calls. */
const dying = (deaths: number, calls = 1) => ({ deaths, calls })

const setting = (trusted: boolean) =>
  Effect.map(makeLedger, ({ file, read }) => ({
    read,
    layer: Sessions.layer({ servers: { s: mortal(file, trusted) } }).pipe(Layer.provide(Transports.layer))
  }))

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

describe.concurrent("A2: a server death in mid-call", () => {
  it.live("fails the call with OutcomeUnknown and its cause, and the session continues on a new process", () =>
    Effect.gen(function*() {
      const { layer, read } = yield* setting(false)
      yield* Effect.gen(function*() {
        const session = yield* get
        const { reason } = yield* Effect.flip(session.callTool("charge_card", dying(1)))
        assert.strictEqual(reason._tag, "OutcomeUnknown")
        if (reason._tag !== "OutcomeUnknown") return
        assert.strictEqual(reason.tool, "charge_card")
        assert.deepInclude(reason.lost, {
          _tag: "ServerExited",
          exitCode: null,
          signal: "SIGKILL",
          stderrTail: "last words"
        })
        assert.deepStrictEqual(read("call"), ["charge_card"])
        const { content } = yield* session.callTool("x")
        assert.deepStrictEqual(content, [{ type: "text", text: "x" }])
        assert.strictEqual(yield* session.generation, 2)
        assert.strictEqual(read("process").length, 2)
        assert.strictEqual((yield* session.connect).pid, Number(read("process")[1]))
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(read("call"), ["charge_card", "x"])
      assert.deepStrictEqual(read("process").filter(isAlive), [])
    }).pipe(Effect.scoped))

  it.live("repeats the call of a tool that a trusted server declares read-only", () =>
    Effect.gen(function*() {
      const { layer, read } = yield* setting(true)
      yield* Effect.gen(function*() {
        const session = yield* get
        const { content } = yield* session.callTool("read_file", dying(1))
        assert.deepStrictEqual(content, [{ type: "text", text: "read_file" }])
        // A tool without annotations is not repeated, even on a trusted server.
        assert.strictEqual(
          (yield* Effect.flip(session.callTool("charge_card", dying(2)))).reason._tag,
          "OutcomeUnknown"
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(read("call"), ["read_file", "read_file", "charge_card"])
    }).pipe(Effect.scoped))

  it.live("fails every call in flight with OutcomeUnknown, and repeats no call", () =>
    Effect.gen(function*() {
      const { layer, read } = yield* setting(false)
      yield* Effect.gen(function*() {
        const session = yield* get
        const ended = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.result(sound(session.callTool("charge_card", dying(1, 20), { timeout: "5 seconds" }))),
          { concurrency: "unbounded" }
        )
        const tags = ended.map((end) => end._tag === "Failure" ? end.failure.reason._tag : end._tag)
        assert.deepStrictEqual([...new Set(tags)], ["OutcomeUnknown"])
        assert.strictEqual(read("call").length, 20)
        assert.strictEqual(read("process").length, 1)
        yield* session.ping
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("leads to at most five processes per minute when every process dies", () =>
    Effect.gen(function*() {
      const { layer, read } = yield* setting(false)
      yield* Effect.gen(function*() {
        const session = yield* get
        const call = Effect.map(Effect.flip(session.callTool("charge_card", dying(99))), ({ reason }) => reason)
        for (let death = 1; death <= 5; death++) assert.strictEqual((yield* call)._tag, "OutcomeUnknown")
        for (let refusal = 1; refusal <= 20; refusal++) {
          assert.deepInclude(yield* call, { _tag: "ServerDown", delivery: "NotSent" })
        }
        assert.strictEqual(read("process").length, 5)
        assert.strictEqual(read("call").length, 5)
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.effect("is followed by reconnects at the times of the schedule only", () => {
    const gone = new SessionError.TransportClosed({ delivery: "Unknown" })
    let isBroken = false
    const script: Scripted.Script = Scripted.make({
      connect: () => Effect.suspend(() => isBroken ? Effect.fail(Scripted.refused) : Effect.void),
      answer: () => Effect.andThen(script.lose(gone), Effect.fail(gone))
    })
    const retry = Schedule.exponential("3 seconds", 3).pipe(Schedule.upTo({ times: 3 }))
    return Effect.gen(function*() {
      const session = yield* get
      assert.strictEqual((yield* Effect.flip(session.callTool("charge_card"))).reason._tag, "OutcomeUnknown")
      isBroken = true
      const next = yield* Effect.forkChild(Effect.flip(session.callTool("charge_card")), { startImmediately: true })
      for (const seconds of [0, 3, 9, 27]) yield* TestClock.adjust(`${seconds} seconds`)
      assert.strictEqual((yield* Fiber.join(next)).reason._tag, "ConnectionRefused")
      assert.deepStrictEqual(script.connects, [0, 0, 3000, 12_000, 39_000])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(script.connects.length, 5)
    }).pipe(Effect.provide(Scripted.sessions(script, { retry })))
  })
})
