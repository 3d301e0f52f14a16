/**
 * What holds for a session on every transport, on servers of both SDK generations, in both eras.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, type Session, type SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Layer } from "effect"
import { toolNames } from "./fixtures/behaviour.ts"
import { type Peer, peers, type RunningPeer, until } from "./fixtures/peer.ts"

type Protocol = "auto" | "legacy" | "2026-07-28"

const suite = (peer: Peer, protocol: Protocol) => {
  const era = peer.version === "v2" && protocol !== "legacy" ? "modern" : "legacy"

  /** A started server and a session with it; what is left is looked at after everything of ours has closed. */
  const withPeer = <A, E>(
    use: (session: Session.Session, running: RunningPeer, sessions: Sessions.Sessions["Service"]) => Effect.Effect<A, E>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const running = yield* peer.start
      const layer = Sessions.layer({ servers: { peer: { ...running.config, protocol } } }).pipe(
        Layer.provide(running.transports)
      )
      const result = yield* Effect.scoped(Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.get("peer")
        return yield* use(session, running, sessions)
      })).pipe(Effect.provide(layer))
      yield* until(running.leftovers, (left) => left.length === 0)
      return result
    }))

  const reasonOf = <A>(effect: Effect.Effect<A, SessionError.SessionError>) =>
    Effect.map(Effect.flip(effect), ({ reason }) => reason)

  describe(`${peer.name}, protocol ${protocol}`, () => {
    it.live("reports what was negotiated", () =>
      withPeer((session) =>
        Effect.gen(function*() {
          const info = yield* session.info
          assert.strictEqual(info.era, era)
          assert.strictEqual(info.protocolVersion, era === "modern" ? "2026-07-28" : "2025-11-25")
          assert.deepStrictEqual(info.implementation, { name: "fixture", version: "1.0.0" })
          assert.strictEqual(info.generation, 1)
          assert.strictEqual(info.pid !== undefined, peer.hasProcess)
        })
      ))

    it.live("lists the tools of all pages", () =>
      withPeer((session) =>
        Effect.map(session.listTools(), (tools) => assert.deepStrictEqual(tools.map(({ name }) => name), toolNames))
      ))

    it.live("returns the result of a tool", () =>
      withPeer((session) =>
        Effect.map(
          session.callTool("echo", { message: "hé\u2028llo" }),
          ({ content }) => assert.deepStrictEqual(content, [{ type: "text", text: "hé\u2028llo" }])
        )
      ))

    it.live("returns the error of a tool as a result", () =>
      withPeer((session) => Effect.map(session.callTool("fail"), ({ isError }) => assert.isTrue(isError))))

    it.live("holds structured content against the output schema, once that is known", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const wrong = { structuredContent: { grams: "many" } }
          assert.deepInclude(yield* session.callTool("weigh", wrong), wrong)
          yield* session.listTools()
          const right = { structuredContent: { grams: 3, label: "aaa" } }
          assert.deepInclude(yield* session.callTool("weigh", right), right)
          assert.isTrue((yield* session.callTool("weigh", { isError: true })).isError)
          for (const broken of [wrong, {}]) {
            const reason = yield* reasonOf(session.callTool("weigh", broken))
            assert.strictEqual(reason._tag, "InvalidResult")
            assert.strictEqual(reason.delivery, "Answered")
          }
          const unusable = yield* reasonOf(session.callTool("vague"))
          assert.strictEqual(unusable._tag, "Unsupported")
          assert.strictEqual(unusable.delivery, "NotSent")
          assert.deepStrictEqual(running.ledger("vague"), [])
          assert.deepInclude(yield* session.callTool("weigh", right), right)
        })
      ))

    it.live("fails with the JSON-RPC error of a server", () =>
      withPeer((session) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session.callTool("reject"))
          assert.strictEqual(reason._tag, "ProtocolFailed")
          if (reason._tag !== "ProtocolFailed") return
          assert.strictEqual(reason.code, -32050)
          assert.strictEqual(reason.description.endsWith("no such luck"), true)
          assert.deepStrictEqual(reason.data, { why: "because" })
          assert.strictEqual(reason.delivery, "Answered")
        })
      ))

    it.live("fails on an unknown tool and stays usable", () =>
      withPeer((session) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session.callTool("nosuch"))
          assert.strictEqual(reason._tag, "ProtocolFailed")
          yield* session.callTool("echo", { message: "still here" })
          assert.strictEqual(yield* session.generation, 1)
        })
      ))

    it.live("passes on what a call reports, in order and before its result", () =>
      withPeer((session) =>
        Effect.gen(function*() {
          const reports: Array<Mcp.Progress> = []
          const onProgress = (progress: Mcp.Progress) => Effect.sync(() => reports.push(progress))
          const { content } = yield* session.callTool("steps", {}, { onProgress })
          assert.deepStrictEqual(content, [{ type: "text", text: "done" }])
          assert.deepStrictEqual(
            reports,
            [1, 2, 3].map((progress) => ({ progress, total: 3, message: `step ${progress}` }))
          )
          const unasked = yield* session.callTool("steps")
          assert.deepStrictEqual(unasked.content, [{ type: "text", text: "nobody wants to know" }])
        })
      ))

    it.live("answers a ping in the way of the era", () => withPeer((session) => session.ping))

    it.live("cancels on the server what is interrupted here, and nothing else", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const first = yield* Effect.forkChild(session.callTool("hang", { id: "first" }), { startImmediately: true })
          const second = yield* Effect.forkChild(session.callTool("hang", { id: "second" }), { startImmediately: true })
          yield* until(() => running.ledger("hang"), (started) => started.length === 2)
          yield* Fiber.interrupt(first)
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.length > 0)
          assert.deepStrictEqual(running.ledger("cancelled"), ["first"])
          assert.isUndefined(second.pollUnsafe())
          yield* session.callTool("echo", { message: "still here" })
          yield* Fiber.interrupt(second)
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.length === 2)
          assert.strictEqual(yield* session.generation, 1)
        })
      ))

    it.live("tells the server when a call times out", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(session.callTool("hang", { id: "late" }, { timeout: "200 millis" }))
          assert.strictEqual(error.reason._tag, "OutcomeUnknown")
          if (error.reason._tag === "OutcomeUnknown") assert.strictEqual(error.reason.lost._tag, "RequestTimeout")
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.length > 0)
          assert.deepStrictEqual(running.ledger("hang"), ["late"])
        })
      ))

    it.live("does not repeat a call that a dying server may have run", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session.callTool("die", { id: "once" }))
          assert.deepStrictEqual(running.ledger("die"), ["once"])
          assert.strictEqual(reason._tag, "OutcomeUnknown")
          if (reason._tag !== "OutcomeUnknown") return
          assert.strictEqual(reason.tool, "die")
          assert.strictEqual(reason.delivery, "Unknown")
          if (!peer.hasProcess) return
          assert.strictEqual(reason.lost._tag, "ServerExited")
          if (reason.lost._tag !== "ServerExited") return
          assert.strictEqual(reason.lost.exitCode, 7)
          assert.strictEqual(reason.lost.stderrTail, "FATAL the fixture was told to die")
        })
      ))

    if (peer.hasProcess || peer.name.startsWith("memory")) {
      it.live("works again after the server died, on a new generation", () =>
        withPeer((session) =>
          Effect.gen(function*() {
            yield* Effect.flip(session.callTool("die"))
            yield* session.callTool("echo", { message: "back" })
            assert.strictEqual(yield* session.generation, 2)
          })
        ))
    }

    it.live("runs a call that is sent once, once", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const ids = Array.from({ length: 50 }, (_, index) => String(index))
          yield* Effect.forEach(ids, (id) => session.callTool("count", { id }), { concurrency: 20, discard: true })
          assert.deepStrictEqual(running.ledger("count").toSorted((a, b) => Number(a) - Number(b)), ids)
        })
      ))

    it.live("shares one connection among all who ask at once", () =>
      withPeer((_, running, sessions) =>
        Effect.gen(function*() {
          const all = Array.from({ length: 100 })
          yield* Effect.forEach(all, () => sessions.callTool("peer", "echo", { message: "x" }), {
            concurrency: "unbounded",
            discard: true
          })
          assert.isAtMost(running.ledger("session").length, 1)
          if (peer.hasProcess) assert.strictEqual(running.ledger("process").length, 1)
        })
      ))
  })
}

for (const peer of peers) {
  suite(peer, "auto")
  suite(peer, "legacy")
  if (peer.version === "v2") suite(peer, "2026-07-28")
}
