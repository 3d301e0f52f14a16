/**
 * Behaviour of a session on every transport, on servers of both SDK generations, in both eras.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Mcp, type Session, type SessionError, Sessions, Telemetry } from "@mcp-sessions/core"
import { Context, Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import { toolNames } from "./fixtures/behaviour.ts"
import { type Peer, peers, type RunningPeer, until } from "./fixtures/peer.ts"
import { read } from "./fixtures/read.ts"
import { sound } from "./fixtures/soundOptions.ts"

class Opened extends Context.Service<Opened, {
  readonly running: RunningPeer
  readonly sessions: Sessions.Sessions["Service"]
  readonly session: Session.Session
}>()("@mcp-sessions/test/Session.test/Opened") {}

type Protocol = "auto" | "legacy" | "2026-07-28"

const suite = (peer: Peer, protocol: Protocol) => {
  const era = peer.version === "v2" && protocol !== "legacy" ? "modern" : "legacy"

  const open = Effect.gen(function*() {
    const running = yield* Effect.acquireRelease(
      peer.start,
      // Runs after all sessions have closed and before the server stops.
      ({ leftovers }) => until(leftovers, (left) => left.length === 0)
    )
    const live = Sessions.layer({ servers: { peer: { ...running.config, protocol } } }).pipe(
      Layer.provide(running.transports)
    )
    const sessions = Context.get(yield* Layer.build(live), Sessions.Sessions)
    return { running, sessions, session: yield* sessions.get("peer") }
  })

  /** Starts a server and a session with it, and checks for leaks after the session has closed. */
  const withPeer = <A, E>(
    use: (session: Session.Session, running: RunningPeer, sessions: Sessions.Sessions["Service"]) => Effect.Effect<A, E>
  ) => Effect.scoped(Effect.flatMap(open, ({ running, session, sessions }) => use(session, running, sessions)))

  /** Uses one server and session that are shared by all tests without side effects. */
  const withShared = <A, E>(
    use: (session: Session.Session, running: RunningPeer, sessions: Sessions.Sessions["Service"]) => Effect.Effect<A, E>
  ) => Effect.flatMap(Opened, ({ running, session, sessions }) => use(session, running, sessions))

  /** Uses the shared server through a separate connection. */
  const withOwn = <A, E>(
    owner: string,
    use: (session: Session.Session, running: RunningPeer) => Effect.Effect<A, E>
  ) => withShared((_, running, sessions) => sessions.use("peer", (session) => use(session, running), { owner }))

  const reasonOf = <A>(effect: Effect.Effect<A, SessionError.SessionError>) =>
    Effect.map(Effect.flip(effect), ({ reason }) => reason)

  layer(Layer.effect(Opened, open), { excludeTestServices: true })(`${peer.name}, protocol ${protocol}`, (it) => {
    it.effect("reports the negotiated protocol", () =>
      withShared((session) =>
        Effect.gen(function*() {
          const info = yield* session.connect
          assert.strictEqual(info.era, era)
          assert.strictEqual(info.protocolVersion, era === "modern" ? "2026-07-28" : "2025-11-25")
          assert.deepStrictEqual(info.implementation, { name: "fixture", version: "1.0.0" })
          assert.strictEqual(info.generation, 1)
          assert.strictEqual(info.pid !== undefined, peer.hasProcess)
        })
      ))

    it.effect("lists the tools of all pages", () =>
      withShared((session) =>
        Effect.map(session.listTools(), (tools) => assert.deepStrictEqual(tools.map(({ name }) => name), toolNames))
      ))

    it.effect("sends the trace context of its caller", () => {
      const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      const beside = { tracestate: "vendor=1", baggage: "user=ada" }
      return withShared((session) =>
        Effect.gen(function*() {
          const seen = Effect.map(session.callTool("trace"), (result) => JSON.parse(Mcp.text(result)))
          assert.deepStrictEqual(yield* seen, {})
          const span = Telemetry.fromTraceparent(traceparent) ?? assert.fail()
          const below = seen.pipe(
            // Nothing exports this span, so servers see the one that it is below.
            Effect.withSpan("local"),
            Effect.withParentSpan(span),
            Effect.provideService(Telemetry.CurrentTraceContext, beside)
          )
          assert.deepStrictEqual(yield* below, { traceparent, ...beside })
        })
      )
    })

    it.effect("returns the result of a tool", () =>
      withShared((session) =>
        Effect.map(
          session.callTool("echo", { message: "hé\u2028llo" }),
          ({ content }) => assert.deepStrictEqual(content, [{ type: "text", text: "hé\u2028llo" }])
        )
      ))

    it.effect("returns the error of a tool as a result", () =>
      withShared((session) => Effect.map(session.callTool("fail"), ({ isError }) => assert.isTrue(isError))))

    it.effect("fails with the JSON-RPC error of a server", () =>
      withShared((session) =>
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

    it.effect("fails on an unknown tool and stays usable", () =>
      withShared((session) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session.callTool("nosuch"))
          assert.strictEqual(reason._tag, "ProtocolFailed")
          yield* session.callTool("echo", { message: "still here" })
          assert.strictEqual(yield* session.generation, 1)
        })
      ))

    it.effect("delivers the progress of a call in order and before its result", () =>
      withShared((session) =>
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

    it.effect("notifies of changes in lists and resources, and fetches a list once for a burst of changes", () =>
      withShared((session, running) =>
        Effect.gen(function*() {
          const notifications = yield* read(session.notifications)
          const updates = yield* read(session.subscribe("note://1"))
          const tools = yield* read(session.watchTools)
          assert.strictEqual((yield* Queue.take(notifications))._tag, "Listening")
          assert.strictEqual((yield* Queue.take(updates))._tag, "Listening")
          assert.strictEqual((yield* Queue.take(tools)).length, toolNames.length)
          const before = running.ledger("list").length
          yield* session.callTool("change", { uri: "note://1" })
          assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "ResourceUpdated", uri: "note://1" })
          yield* session.callTool("change", { times: 200 })
          yield* Queue.take(tools)
          assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "ResourceUpdated", uri: "note://1" })
          assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "ToolsChanged" })
          yield* session.callTool("echo", { message: "after" })
          const pages = Math.ceil(toolNames.length / 3)
          assert.isBelow((running.ledger("list").length - before) / pages, 50)
        }).pipe(Effect.scoped)
      ))

    it.effect("delivers log messages of the requested level", () =>
      withShared((session) =>
        Effect.gen(function*() {
          yield* session.setLogLevel("error")
          const notifications = yield* read(session.notifications)
          yield* Queue.take(notifications)
          yield* session.callTool("log")
          // Over HTTP it is known, too, which call it is about.
          assert.deepInclude(
            yield* Queue.take(notifications),
            { _tag: "LogMessage", level: "error", logger: undefined, data: "a failure" }
          )
        }).pipe(Effect.scoped)
      ))

    it.effect("initializes a manually opened connection once, when the caller requests it", () =>
      withShared((session, _, sessions) =>
        Effect.gen(function*() {
          const { initialize } = yield* sessions.open("peer", { handshake: "manual" })
          const own = yield* initialize
          assert.strictEqual((yield* own.connect).era, era)
          const { content } = yield* own.callTool("echo", { message: "at last" })
          assert.deepStrictEqual(content, [{ type: "text", text: "at last" }])
          yield* initialize
          for (const connected of [own, session]) assert.strictEqual(yield* connected.generation, 1)
        }).pipe(Effect.scoped)
      ))

    it.effect("pings in the way of its era", () => withShared((session) => session.ping))

    it.effect("cancels an interrupted call on the server, and no other call", () =>
      withShared((session, running) =>
        Effect.gen(function*() {
          const first = yield* Effect.forkChild(session.callTool("hang", { id: "first" }), { startImmediately: true })
          const second = yield* Effect.forkChild(session.callTool("hang", { id: "second" }), { startImmediately: true })
          yield* until(
            () => running.ledger("hang"),
            (started) => started.includes("first") && started.includes("second")
          )
          yield* Fiber.interrupt(first)
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.includes("first"))
          assert.notInclude(running.ledger("cancelled"), "second")
          assert.isUndefined(second.pollUnsafe())
          yield* session.callTool("echo", { message: "still here" })
          yield* Fiber.interrupt(second)
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.includes("second"))
          assert.strictEqual(yield* session.generation, 1)
        })
      ))

    it.effect("cancels a call on the server when its own `timeout` expires", () =>
      withShared((session, running) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(sound(session.callTool("hang", { id: "late" }, { timeout: "200 millis" })))
          assert.strictEqual(error.reason._tag, "OutcomeUnknown")
          if (error.reason._tag === "OutcomeUnknown") assert.strictEqual(error.reason.lost._tag, "RequestTimeout")
          yield* until(() => running.ledger("cancelled"), (cancelled) => cancelled.includes("late"))
          assert.strictEqual(running.ledger("hang").filter((id) => id === "late").length, 1)
        })
      ))

    it.effect("runs a call exactly once", () =>
      withShared((session, running) =>
        Effect.gen(function*() {
          const ids = Array.from({ length: 50 }, (_, index) => String(index))
          yield* Effect.forEach(ids, (id) => session.callTool("count", { id }), { concurrency: 20, discard: true })
          assert.deepStrictEqual(running.ledger("count").toSorted((a, b) => Number(a) - Number(b)), ids)
        })
      ))

    it.effect("validates structured content against a known output schema", () =>
      withOwn("a", (session, running) =>
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
        })))

    it.effect("shares one connection between concurrent callers", () =>
      withShared((_, running, sessions) =>
        Effect.gen(function*() {
          const before = { sessions: running.ledger("session").length, processes: running.ledger("process").length }
          const all = Array.from({ length: 100 })
          yield* Effect.forEach(all, () => sessions.callTool("peer", "echo", { message: "x" }, { owner: "b" }), {
            concurrency: "unbounded",
            discard: true
          })
          assert.isAtMost(running.ledger("session").length - before.sessions, 1)
          if (peer.hasProcess) assert.strictEqual(running.ledger("process").length - before.processes, 1)
        })
      ))
  })

  describe.concurrent(`${peer.name}, protocol ${protocol}, with a server of its own`, () => {
    it.live("does not repeat a call that a dying server may have run", () =>
      withPeer((session, running) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session.callTool("die", { id: "once" }))
          assert.deepStrictEqual(running.ledger("die"), ["once"])
          assert.strictEqual(reason._tag, "OutcomeUnknown")
          if (reason._tag !== "OutcomeUnknown") return
          assert.strictEqual(reason.tool, "die")
          assert.isDefined(reason.requestId)
          assert.strictEqual(reason.delivery, "Unknown")
          if (!peer.hasProcess) return
          assert.strictEqual(reason.lost._tag, "ServerExited")
          if (reason.lost._tag !== "ServerExited") return
          assert.strictEqual(reason.lost.exitCode, 7)
          assert.strictEqual(reason.lost.stderrTail, "FATAL the fixture was told to die")
        })
      ))

    if (peer.hasProcess || peer.name.startsWith("memory")) {
      it.live("fails all calls in flight when the server dies, and reconnects with a new generation", () =>
        withPeer((session, running, sessions) =>
          Effect.gen(function*() {
            const hung = yield* Effect.forkChild(
              Effect.forEach(["1", "2", "3"], (id) => reasonOf(session.callTool("hang", { id })), {
                concurrency: "unbounded"
              })
            )
            yield* until(() => running.ledger("hang"), (started) => started.length === 3)
            yield* Effect.flip(session.callTool("die"))
            for (const { _tag } of yield* Fiber.join(hung)) assert.strictEqual(_tag, "OutcomeUnknown")
            assert.strictEqual((yield* Effect.map(sessions.status("peer"), ({ health }) => health)).errorCount, 1)
            yield* session.callTool("echo", { message: "back" })
            assert.strictEqual(yield* session.generation, 2)
          })
        ))
    }
  })
}

for (const peer of peers) {
  suite(peer, "auto")
  suite(peer, "legacy")
  if (peer.version === "v2") suite(peer, "2026-07-28")
}

describe.concurrent("closing all sessions", () => {
  for (const peer of peers) {
    it.live(`fails a call in flight with OutcomeUnknown: ${peer.name}`, () =>
      Effect.gen(function*() {
        const { config, ledger, transports } = yield* peer.start
        const scope = yield* Scope.make()
        const layer = Sessions.layer({ servers: { peer: config } }).pipe(Layer.provide(transports))
        const sessions = Context.get(yield* Layer.buildWithScope(layer, scope), Sessions.Sessions)
        const session = yield* sessions.get("peer")
        const call = yield* Effect.forkChild(Effect.flip(session.callTool("hang", { id: "1" })), {
          startImmediately: true
        })
        yield* until(() => ledger("hang"), (started) => started.length === 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(call)).reason._tag, "OutcomeUnknown")
      }).pipe(Effect.scoped))
  }
})
