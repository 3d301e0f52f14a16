/**
 * openAll emits each server when it connects, reports failures, and reconnects the failed servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type ServerConfig, SessionError, Sessions } from "@mcp-sessions/core"
import { Faulty, Memory, Transports } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Effect, Exit, Layer, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { stdio } from "../../fixtures/peer.ts"
import { read } from "../../fixtures/read.ts"
import * as Scripted from "../../fixtures/scripted.ts"

const missing = new SessionError.SpawnFailed({ command: "no-such-command", code: "ENOENT" })

/** In-memory servers that count their open connections, behind scripted faults. */
const fleet = (names: ReadonlyArray<string>, faults: ReadonlyArray<Faulty.Fault>) => {
  const open = new Set<object>()
  const serve = (name: string): Memory.Serve => (peer) => {
    open.add(peer)
    serveStdio(() => {
      const server = new McpServer({ name, version: "1" }, { capabilities: { tools: {} } })
      server.registerTool("hello", {}, () => ({ content: [{ type: "text", text: name }] }))
      return server
    }, { transport: peer })
    const { onclose } = peer
    peer.onclose = () => {
      open.delete(peer)
      onclose?.()
    }
  }
  const servers = Object.fromEntries(
    names.map((name) => [name, { transport: "stdio" as const, command: name, args: [], healthInterval: 0 }])
  )
  const layer = Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(
    Layer.provide(Faulty.layer({
      transports: Memory.layerTransports(Object.fromEntries(names.map((name) => [name, serve(name)]))),
      faults
    }))
  )
  return { layer, open }
}

const three = ["dead", "mute", "good"]

const faults: ReadonlyArray<Faulty.Fault> = [
  { at: "connect", server: "dead", nth: [1, 2, 3], what: Faulty.fail(missing) },
  { at: "initialize", server: "mute", nth: 1, what: Faulty.hang }
]

/** Advances the clock until a condition holds. */
const until = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(TestClock.adjust("1 second")))

const reasonOf = (opened: Sessions.Opened) =>
  opened._tag === "Failed" && opened.error._tag === "SessionError" ? opened.error.reason._tag : undefined

describe("openAll", () => {
  it.effect("emits the good server at once, reports the others as they fail, and emits them when they recover", () => {
    const { layer, open } = fleet(three, faults)
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const opened = yield* read(sessions.openAll())
      const found = [yield* Queue.take(opened), yield* Queue.take(opened)].toSorted((a, b) =>
        a.server < b.server ? -1 : 1
      )
      const [dead, good] = found
      assert.strictEqual(dead === undefined ? undefined : reasonOf(dead), "SpawnFailed")
      assert.strictEqual(good?._tag, "Usable")
      if (good?._tag !== "Usable") return
      assert.deepStrictEqual((yield* good.session.callTool("hello")).content, [{ type: "text", text: "good" }])
      const mute = yield* until(Queue.take(opened))
      assert.strictEqual(mute.server, "mute")
      assert.strictEqual(reasonOf(mute), "ConnectTimeout")
      // They recover without a caller.
      while (open.size < 3) yield* TestClock.adjust("1 second")
      for (const server of three) {
        const { content } = yield* sessions.callTool(server, "hello")
        assert.deepStrictEqual(content, [{ type: "text", text: server }])
      }
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.live("emits the real servers that are available, and reports the others by name", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const open = (servers: Readonly<Record<string, ServerConfig.ServerConfigInput>>) =>
        Effect.gen(function*() {
          const sessions = yield* Sessions.Sessions
          const opened = yield* Stream.runCollect(sessions.openAll())
          return Object.fromEntries(opened.map((one) => [one.server, reasonOf(one) ?? one._tag]))
        }).pipe(
          Effect.scoped,
          Effect.provide(Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer)))
        )
      const down = {
        absent: { transport: "stdio", command: "no-such-command", args: [] },
        refused: { transport: "streamable_http", url: "http://127.0.0.1:1/mcp" }
      } as const
      const failed = { absent: "SpawnFailed", refused: "ConnectionRefused" } as const
      assert.deepStrictEqual(yield* open({ good: config, ...down }), { good: "Usable", ...failed })
      assert.deepStrictEqual(yield* open(down), failed)
      assert.deepStrictEqual(yield* open({}), {})
    }).pipe(Effect.scoped))

  it.effect("fails in strict mode with all errors, and leaves nothing open", () => {
    const { layer, open } = fleet(three, faults)
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const error = yield* until(Effect.flip(Stream.runDrain(sessions.openAll({ mode: "strict" }))))
      if (error._tag !== "OpenFailed") return yield* Effect.die(error)
      const tags = error.errors.map((error) =>
        error._tag === "SessionError" ? `${error.server} ${error.reason._tag}` : ""
      )
      assert.deepStrictEqual(tags.toSorted(), ["dead SpawnFailed", "mute ConnectTimeout"])
      while (open.size > 0) yield* Effect.yieldNow
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(open.size, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("emits all servers in strict mode when all are available", () => {
    const { layer } = fleet(three, [])
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const opened = yield* Stream.runCollect(sessions.openAll({ mode: "strict" }))
      assert.deepStrictEqual(opened.map(({ server }) => server).toSorted(), three.toSorted())
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("does not delay a good server behind any number of unresponsive ones", () => {
    const names = [...Array.from({ length: 12 }, (_, n) => `mute${n}`), "good"]
    const { layer } = fleet(
      names,
      names.slice(0, -1).map((server) => ({ at: "initialize", server, what: Faulty.hang }))
    )
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const opened = yield* read(sessions.openAll())
      for (let second = 0; second < 4; second++) yield* TestClock.adjust("1 second")
      const first = yield* Queue.take(opened)
      assert.deepInclude(first, { _tag: "Usable", server: "good" })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("reports a transport that violates its contract, and does not hang", () => {
    const script = Scripted.make({ connect: () => Effect.die("broken") })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const exit = yield* Effect.exit(Stream.runDrain(sessions.openAll()))
      assert.isTrue(Exit.hasDies(exit))
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })

  it.effect("stops reconnecting when its scope closes", () => {
    const { layer, open } = fleet(three, [{ at: "connect", server: "dead", what: Faulty.fail(missing) }])
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const scope = yield* Scope.make()
      yield* Scope.provide(Stream.runDrain(sessions.openAll()), scope)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(open.size, 0)
      assert.deepInclude(yield* Effect.map(sessions.status("dead"), ({ health }) => health), { isHealthy: false })
    }).pipe(Effect.provide(layer))
  })
})
