/**
 * A9, a fleet of mixed eras: servers of three revisions behind four transports, some of them faulty, in one file.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, RetryPolicy, type ServerConfig, type Session, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
import { workplace } from "../cli/cli.ts"
import { toolNames } from "../fixtures/behaviour.ts"
import { fixture, http, isAlive, makeLedger, net, until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import * as Sse from "../fixtures/scriptedSse.ts"
import { withSession } from "../fixtures/withSession.ts"

const program = (name: string, ...args: ReadonlyArray<string>) => ({
  transport: "stdio" as const,
  command: process.execPath,
  args: [fixture(name), ...args]
})

/** Starts the servers, and returns the definition and the expected revision of each. */
const startFleet = Effect.gen(function*() {
  const ledgers = { strict: yield* makeLedger, silent: yield* makeLedger }
  const banner = yield* makeLedger
  const old = yield* Sse.start(() => false)
  const fleet = {
    old: [{ transport: "sse", url: old.url }, "2024-11-05"],
    stateful: [(yield* http("v1").start).config, "2025-11-25"],
    stateless: [(yield* http("v2").start).config, "2026-07-28"],
    strict: [program("faultyStdio.mjs", "strict", ledgers.strict.file), "2025-06-18"],
    silent: [
      { ...program("faultyStdio.mjs", "silent", ledgers.silent.file), probeTimeout: "300 millis" },
      "2025-06-18"
    ],
    banner: [
      { ...program("faultyStdio.mjs", "banner", banner.file), encodingErrors: "replace" },
      "2025-06-18"
    ],
    socket: [(yield* net("websocket", "v2").start).config, "2026-07-28"]
  } as const satisfies Record<string, readonly [ServerConfig.ServerConfigInput, string]>
  const servers = Object.fromEntries(Object.entries(fleet).map(([name, [config]]) => [name, config]))
  const revisions = Object.entries(fleet).map(([name, [, revision]]) => [name, revision])
  return { servers, revisions, ledgers }
})

const asked = (read: (word: string) => ReadonlyArray<string>) => ({
  processes: read("process").length,
  probes: read("message").filter((method) => method === "server/discover").length
})

describe.concurrent("A9: a fleet of mixed eras", () => {
  it.live("connects from one file, with each server at its own revision", () =>
    Effect.gen(function*() {
      const { revisions, servers } = yield* startFleet
      const { run, write } = yield* workplace
      write("mcp-sessions.json", { servers })
      const { status, stderr, stdout } = yield* run(["check", "--json"])
      assert.strictEqual(status, 0, stderr)
      const found: ReadonlyArray<Record<string, unknown>> = JSON.parse(stdout).servers
      assert.deepStrictEqual(found.map(({ name, protocolVersion }) => [name, protocolVersion]), revisions)
      for (const { era, protocolVersion } of found) {
        assert.strictEqual(era, protocolVersion === "2026-07-28" ? "modern" : "legacy")
      }
    }).pipe(Effect.scoped))

  it.live("serves one program by server name, with the tools of each, and each era that was answered is probed once", () =>
    Effect.gen(function*() {
      const { ledgers, revisions, servers } = yield* startFleet
      const retry = RetryPolicy.spaced({ retries: 2, delay: "10 millis" })
      const layer = Sessions.layer({ servers, retry }).pipe(Layer.provide(Transports.layer))
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const open = yield* Effect.forEach(sessions.names, (name) => sessions.get(name), { concurrency: "unbounded" })
        const seen = yield* Effect.forEach(open, (session) => session.connect)
        assert.deepStrictEqual(seen.map(({ protocolVersion, server }) => [server, protocolVersion]), revisions)
        const tools = yield* Effect.forEach(open, (session) => session.listTools())
        const small = new Set(["old", "strict", "silent", "banner"])
        assert.deepStrictEqual(
          tools.map((offered) => offered.map(({ name }) => name)),
          sessions.names.map((name) => small.has(name) ? ["x"] : toolNames)
        )
        const call = (session: Session.Session) => session.callTool("echo", { message: "echo" })
        const expected: Record<string, string> = { old: "old but good" }
        for (const session of open) {
          const { content } = yield* call(session)
          assert.deepStrictEqual(content, [{ type: "text", text: expected[session.server] ?? "echo" }], session.server)
        }
        assert.deepStrictEqual(asked(ledgers.strict.read), { processes: 2, probes: 1 })
        assert.deepStrictEqual(asked(ledgers.silent.read), { processes: 1, probes: 1 })
        // A second connection starts one process. It sends no probe to a server that has answered one; silence is no answer.
        for (const name of ["strict", "silent"] as const) {
          const session = yield* sessions.get(name)
          const { pid = 0 } = yield* session.connect
          process.kill(pid, "SIGKILL")
          yield* until(() => isAlive(pid), (alive) => !alive)
          yield* session.callTool("echo", {}, { idempotent: true })
        }
        assert.deepStrictEqual(asked(ledgers.strict.read), { processes: 3, probes: 1 })
        assert.deepStrictEqual(asked(ledgers.silent.read), { processes: 2, probes: 2 })
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.scoped))

  for (const revision of ["1999-01-01", "2026-07-28", "2099-12-31"]) {
    it.live(`rejects a server whose handshake returns revision ${revision}`, () =>
      Effect.gen(function*() {
        const server = yield* Http.start(({ message, response }) => {
          if (message.method !== "initialize") return false
          const serverInfo = { name: "liar", version: "1" }
          Http.json(response, Http.result(message.id, { protocolVersion: revision, capabilities: {}, serverInfo }))
          return true
        })
        const config = { transport: "streamable_http", url: server.url }
        const error = yield* Effect.flip(withSession(config, (session) => session.ping))
        assert.deepInclude((error as { readonly reason?: object }).reason, { _tag: "ProtocolMismatch", revision })
        assert.strictEqual(server.count("POST initialize"), 1)
      }).pipe(Effect.scoped))
  }

  it.live("uses one elicitation handler for servers of both eras", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const asking = program("stdioServer.ts", "asking", file)
      const questions: Array<string> = []
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
        elicitation: {
          form: ({ message }) =>
            Effect.sync(() => {
              questions.push(message)
              return { action: "accept" as const, content: { name: "Ada" } }
            })
        }
      })
      const layer = Sessions.layer({ servers: { legacy: { ...asking, protocol: "legacy" }, modern: asking } }).pipe(
        Layer.provide(Layer.merge(Transports.layer, handlers))
      )
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        for (const era of ["legacy", "modern"] as const) {
          const session = yield* sessions.get(era)
          assert.strictEqual((yield* session.connect).era, era)
          const { content: [block] } = yield* session.callTool("ask")
          assert.deepInclude(JSON.parse(block?.type === "text" ? block.text : "{}"), { content: { name: "Ada" } })
        }
        assert.deepStrictEqual(questions, ["your name?", "your name?"])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("is rejected with every problem of its file, the place of each, and no value", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write("mcp-sessions.json", {
        servers: {
          url: { transport: "http", url: "ftp://s3cret@example.com" },
          key: { ...program("stdioServer.ts"), requestTimeuot: "s3cret" },
          variable: { transport: "http", url: "https://example.com", headers: { authorization: "s3cret ${TOKEN}" } },
          headers: { ...program("stdioServer.ts"), headers: { authorization: "s3cret" } },
          reserved: { transport: "http", url: "https://example.com", headers: { Host: "s3cret" } },
          unsafe: { ...program("stdioServer.ts"), env: { NODE_OPTIONS: "s3cret" } }
        }
      })
      const { status, stderr } = yield* run(["config", "check", "--json"])
      assert.strictEqual(status, 10)
      assert.notInclude(stderr, "s3cret")
      const { problems } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "").error
      assert.sameDeepMembers(
        problems.map(({ code, path }: Record<string, unknown>) => [code, path]),
        [
          ["MissingVariable", "$.servers.variable.headers.authorization"],
          ["InvalidUrl", "$.servers.url.url"],
          ["UnknownKey", "$.servers.key.requestTimeuot"],
          ["MisplacedKey", "$.servers.headers.headers"],
          ["ReservedHeader", "$.servers.reserved.headers.Host"],
          ["UnsafeVariable", "$.servers.unsafe.env.NODE_OPTIONS"]
        ]
      )
    }).pipe(Effect.scoped))
})
