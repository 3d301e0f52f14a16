/**
 * Recordings of conversations: a replay without a server gives a program equal results.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, type ConfigError, type ServerConfig, Sessions, type Transport } from "@mcp-sessions/core"
import { Memory, Recorded } from "@mcp-sessions/transports"
import { inputRequired, McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Queue, Redacted, Result, Scope, Stream } from "effect"
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture, http, isAlive, makeLedger, stdio, until } from "../../fixtures/peer.ts"
import { read } from "../../fixtures/read.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "recorded-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const fileIn = Effect.map(directory, (directory) => join(directory, "conversation.jsonl"))

/** Everything that a program observes of a server: results, failures, lists, progress, notifications. */
const conversation = Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const session = yield* sessions.get("peer")
  const seen: Array<unknown> = []
  const { pid: _, ...info } = yield* session.connect
  seen.push(info)
  seen.push(yield* session.listTools())
  seen.push(yield* session.callTool("echo", { message: "hi" }))
  const reports: Array<unknown> = []
  seen.push(yield* session.callTool("steps", {}, { onProgress: (report) => void reports.push(report) }), reports)
  seen.push(yield* session.callTool("fail"))
  seen.push((yield* Effect.flip(session.callTool("reject"))).message)
  const notifications = yield* read(session.notifications)
  yield* Queue.take(notifications)
  seen.push(yield* session.callTool("change"), yield* Queue.take(notifications))
  const updates = yield* read(session.subscribe("note://1"))
  yield* Queue.take(updates)
  yield* session.callTool("change", { uri: "note://1" })
  seen.push(yield* Queue.take(updates))
  const hanging = yield* Effect.forkChild(session.callTool("hang", { id: "1" }), { startImmediately: true })
  yield* session.ping
  yield* Fiber.interrupt(hanging)
  const error = yield* Effect.flip(session.callTool("die", { id: "2" }))
  seen.push(error.reason._tag, error.reason._tag === "OutcomeUnknown" ? error.reason.lost._tag : undefined)
  return seen
}).pipe(Effect.scoped)

const sessionsOver = (
  transports: Layer.Layer<Transport.Transports, Recorded.RecordingError>,
  config: ServerConfig.ServerConfigInput
) => Sessions.layer({ servers: { peer: config } }).pipe(Layer.provide(transports))

const absent: ServerConfig.ServerConfigInput = { transport: "stdio", command: "no-such-command", args: [] }

const mismatchOf = (exit: Exit.Exit<unknown, { readonly message: string }>): Recorded.ReplayMismatch => {
  const defect = Exit.isFailure(exit) ? Cause.findDefect(exit.cause) : undefined
  if (defect !== undefined && Result.isSuccess(defect) && defect.success instanceof Recorded.ReplayMismatch) {
    return defect.success
  }
  return assert.fail("it matched")
}

const echo = (message: string) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("peer", "echo", { message }))

describe.concurrent("a recording", () => {
  for (const peer of [stdio("v1"), stdio("v2"), http("v1"), http("v2")]) {
    for (const protocol of ["auto", "legacy"] as const) {
      it.live(`replays without the server: ${peer.name}, protocol ${protocol}`, () =>
        Effect.gen(function*() {
          const { config, ledger } = yield* peer.start
          const file = yield* fileIn
          const seen = yield* Effect.provide(
            conversation,
            sessionsOver(Recorded.record(file), { ...config, protocol })
          )
          const before = ledger("")
          for (const definition of [{ ...config, protocol }, absent]) {
            const again = yield* Effect.provide(conversation, sessionsOver(Recorded.replay(file), definition))
            assert.deepStrictEqual(again, seen)
          }
          assert.deepStrictEqual(ledger(""), before)
        }).pipe(Effect.scoped))
    }
  }

  it.effect("replays under a test clock", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "m", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("echo", {}, () => ({ content: [{ type: "text", text: "hi" }] }))
          return server
        }, { transport: peer })
      }
      const transports = Memory.layerTransports({ peer: serve })
      const call = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("peer", "echo"))
      const first = yield* Effect.provide(call, sessionsOver(Recorded.recordWith({ file, transports }), absent))
      const again = yield* Effect.provide(call, sessionsOver(Recorded.replay(file), absent))
      assert.deepStrictEqual(again.content, first.content)
    }).pipe(Effect.scoped))

  it.live("repeats requests to handlers and compares their responses with the recorded ones", () =>
    Effect.gen(function*() {
      const form = { message: "name?", requestedSchema: { type: "object" as const, properties: {} } }
      const serve: Memory.Serve = (peer) => {
        serveStdio((context) => {
          const server = new McpServer({ name: "asking", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("ask", {}, async ({ mcpReq }) => {
            const said = context.era === "modern"
              ? mcpReq.inputResponses?.name
              : await mcpReq.elicitInput({ mode: "form", ...form })
            if (said === undefined) return inputRequired({ inputRequests: { name: inputRequired.elicit(form) } })
            return { content: [{ type: "text", text: JSON.stringify(said) }] }
          })
          return server
        }, { transport: peer })
      }
      const answering = (name: string) =>
        Layer.succeed(ClientHandlers.ClientHandlers, {
          elicitation: {
            form: (_, { call }) => Effect.succeed({ action: "accept", content: { name: `${name} for ${call?.tool}` } })
          }
        })
      const call = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("peer", "ask"))
      for (const protocol of ["auto", "legacy"] as const) {
        const file = yield* fileIn
        const sessionsWith = (
          transports: Layer.Layer<Transport.Transports, Recorded.RecordingError>,
          name: string
        ): Layer.Layer<Sessions.Sessions, Recorded.RecordingError | ConfigError.ConfigError> =>
          Sessions.layer({ servers: { peer: { ...absent, protocol } } }).pipe(
            Layer.provide(Layer.merge(transports, answering(name)))
          )
        const recorded = Recorded.recordWith({ file, transports: Memory.layerTransports({ peer: serve }) })
        const first = yield* Effect.provide(call, sessionsWith(recorded, "Ada"))
        assert.include(JSON.stringify(first.content), "Ada for ask")
        assert.deepStrictEqual(yield* Effect.provide(call, sessionsWith(Recorded.replay(file), "Ada")), first)
        const other = yield* Effect.exit(Effect.provide(call, sessionsWith(Recorded.replay(file), "Bob")))
        const { message } = mismatchOf(other)
        assert.include(message, "Bob")
        assert.include(message, "Ada")
      }
    }).pipe(Effect.scoped))

  it.live("contains no secret of the definition or of the secrets option, in any encoding", () =>
    Effect.gen(function*() {
      const { file: ledger } = yield* makeLedger
      const file = yield* fileIn
      const config: ServerConfig.ServerConfigInput = {
        transport: "stdio",
        command: process.execPath,
        args: [fixture("stdioServer.ts"), "v2", ledger],
        env: { TOKEN: "s3cr3t/+value" }
      }
      const program = Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const { content } = yield* sessions.callTool("peer", "environment")
        yield* sessions.callTool("peer", "echo", {
          message: `named: hush-hush, ${encodeURIComponent("s3cr3t/+value")}`
        })
        return content
      })
      const recorded = Recorded.recordWith({
        file,
        transports: (yield* stdio("v2").start).transports,
        secrets: [Redacted.make("hush-hush")]
      })
      const seen = yield* Effect.provide(program, sessionsOver(recorded, config))
      assert.include(JSON.stringify(seen), "s3cr3t/+value")
      const text = readFileSync(file, "utf8")
      for (const secret of ["s3cr3t", "hush-hush"]) assert.notInclude(text, secret)
      assert.include(text, "<redacted>")
      // A replay accepts any value in the place of a removed secret.
      const again = yield* Effect.provide(program, sessionsOver(Recorded.replay(file), absent))
      assert.include(JSON.stringify(again), "<redacted>")
    }).pipe(Effect.scoped))

  it.live("replays a failing connect with its failure and retries", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      for (const transports of [Recorded.record(file), Recorded.replay(file)]) {
        const error = yield* Effect.flip(Effect.provide(echo("hi"), sessionsOver(transports, absent)))
        assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "SpawnFailed")
      }
    }).pipe(Effect.scoped))

  it.live("leaves no process behind", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v2").start
      yield* Effect.provide(echo("hi"), sessionsOver(Recorded.record(yield* fileIn), config))
      assert.deepStrictEqual(ledger("process").filter(isAlive), [])
    }).pipe(Effect.scoped))

  const withEnvironment = (env: Record<string, string>) =>
    Effect.map(makeLedger, ({ file }): ServerConfig.ServerConfigInput => ({
      transport: "stdio",
      command: process.execPath,
      args: [fixture("stdioServer.ts"), "v2", file],
      env
    }))

  it.live("contains no line of a multi-line secret and no value of a JSON secret", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      const config = yield* withEnvironment({
        PEM: "-----BEGIN PRIVATE KEY-----\nMIIEvQsecretsecret\n-----END PRIVATE KEY-----",
        ACCOUNT: JSON.stringify({ private_key_id: "0123456789abcdef", client: "x" })
      })
      const program = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("peer", "environment"))
      yield* Effect.provide(program, sessionsOver(Recorded.record(file), config))
      const text = readFileSync(file, "utf8")
      for (const secret of ["MIIEvQsecretsecret", "0123456789abcdef"]) assert.notInclude(text, secret)
    }).pipe(Effect.scoped))

  for (const value of ["text", "connect", "result"]) {
    it.live(`stays intact when "${value}", a plain word, is the value of a variable`, () =>
      Effect.gen(function*() {
        const file = yield* fileIn
        const config = yield* withEnvironment({ MODE: value, TOKEN: value })
        const first = yield* Effect.provide(echo("hi"), sessionsOver(Recorded.record(file), config))
        const again = yield* Effect.provide(echo("hi"), sessionsOver(Recorded.replay(file), config))
        assert.deepStrictEqual(again, first)
      }).pipe(Effect.scoped))
  }

  it.live("is readable by its owner only, even if the file existed", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      writeFileSync(file, "")
      chmodSync(file, 0o644)
      yield* Effect.scoped(Layer.build(Recorded.record(file)))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    }).pipe(Effect.scoped))

  it.live("contains the end of calls in flight when everything is closed", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      const { config, ledger } = yield* stdio("v2").start
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(sessionsOver(Recorded.record(file), config), scope)
      const sessions = yield* Effect.provide(Sessions.Sessions, services)
      const calls = yield* Effect.forEach(["1", "2", "3"], (id) =>
        Effect.forkChild(Effect.exit(sessions.callTool("peer", "hang", { id })), { startImmediately: true }))
      yield* until(() =>
        ledger("hang"), (started) => started.length === 3)
      yield* Scope.close(scope, Exit.void)
      const exits = yield* Effect.forEach(calls, Fiber.join)
      assert.isTrue(exits.every(Exit.isFailure))
      const events = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as { event?: string })
      const count = (...words: ReadonlyArray<string>) => events.filter(({ event = "" }) => words.includes(event)).length
      assert.strictEqual(count("call"), count("result", "failure", "cancelled"))
    }).pipe(Effect.scoped))

  it.live("does not change a call that cannot be sent", () =>
    Effect.gen(function*() {
      const { config, transports } = yield* stdio("v2").start
      const call = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("peer", "echo", { message: 1n }))
      const plain = yield* Effect.flip(Effect.provide(call, sessionsOver(transports, config)))
      const recorded = yield* Effect.flip(Effect.provide(call, sessionsOver(Recorded.record(yield* fileIn), config)))
      assert.strictEqual(recorded.message, plain.message)
    }).pipe(Effect.scoped))
})

describe.concurrent("a replay", () => {
  const recorded = Effect.gen(function*() {
    const { config } = yield* stdio("v2").start
    const file = yield* fileIn
    yield* Effect.provide(
      Effect.all([echo("one"), echo("two"), echo("three")], { concurrency: "unbounded" }),
      sessionsOver(Recorded.record(file), config)
    )
    return file
  })

  it.live("names the recorded calls when a call is not recorded", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      const exit = yield* Effect.exit(Effect.provide(echo("four"), sessionsOver(Recorded.replay(file), absent)))
      const { message } = mismatchOf(exit)
      for (const said of ["one", "two", "three", "four"]) assert.include(message, `"message":"${said}"`)
      assert.include(message, "connection 1 to peer")
    }).pipe(Effect.scoped))

  it.live("accepts calls in another order than recorded, and a subset of them", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      const program = Effect.flatMap(Sessions.Sessions, (sessions) =>
        sessions.use("peer", (session) =>
          Effect.forEach(["three", "one"], (message) =>
            session.callTool("echo", { message }))))
      const results = yield* Effect.provide(program, sessionsOver(Recorded.replay(file), absent))
      assert.deepStrictEqual(
        results.map(({ content }) =>
          content
        ),
        [
          [{ type: "text", text: "three" }],
          [{ type: "text", text: "one" }]
        ]
      )
    }).pipe(Effect.scoped))

  it.live("reports a connect that is not recorded", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      const program = Effect.flatMap(Sessions.Sessions, (sessions) =>
        Effect.forEach(["a", "b"], (owner) =>
          sessions.callTool("peer", "echo", { message: "one" }, { owner })))
      const exit = yield* Effect.exit(Effect.provide(program, sessionsOver(Recorded.replay(file), absent)))
      assert.include(mismatchOf(exit).message, "one more connect")
    }).pipe(Effect.scoped))

  it.effect("fails with the line for a missing or malformed file", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      const build = Effect.scoped(Effect.flip(Layer.build(Recorded.replay(file))))
      assert.include((yield* build).message, "cannot be read")
      writeFileSync(file, "{}\n")
      assert.strictEqual((yield* build).line, 1)
      writeFileSync(file, `{"recording":"mcp-sessions","version":1}\n\n{"event":"connected"}\n`)
      assert.strictEqual((yield* build).line, 3)
      const unwritable = yield* Effect.scoped(Effect.flip(Layer.build(Recorded.record(join(file, "x")))))
      assert.include(unwritable.message, "cannot be written")
    }).pipe(Effect.scoped))

  it.live("reports a deviation to subscribers, too", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      const program = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("peer")).pipe(
        Effect.flatMap((session) => Stream.runDrain(session.notifications)),
        Effect.scoped
      )
      const exit = yield* Effect.exit(Effect.provide(program, sessionsOver(Recorded.replay(file), absent)))
      assert.include(mismatchOf(exit).message, "subscriptions/listen")
    }).pipe(Effect.scoped))

  const legacy = { ...absent, protocol: "legacy" as const }

  const serving = (register: (server: McpServer) => void) =>
    Memory.layerTransports({
      peer: (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "m", version: "1" }, { capabilities: { tools: { listChanged: true } } })
          register(server)
          return server
        }, { transport: peer })
      }
    })

  it.live("continues without an omitted call once the program waits for a later event", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const file = yield* fileIn
      const program = (doesEcho: boolean) =>
        Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("peer"))
          const notifications = yield* read(session.notifications)
          yield* Queue.take(notifications)
          yield* session.callTool("change")
          if (doesEcho) yield* session.callTool("echo", { message: "x" })
          yield* session.callTool("change", { times: 1 })
          return yield* Queue.takeN(notifications, 2)
        }).pipe(Effect.scoped)
      const first = yield* Effect.provide(program(true), sessionsOver(Recorded.record(file), config))
      const again = yield* Effect.provide(program(false), sessionsOver(Recorded.replay(file), absent))
      assert.deepStrictEqual(again, first)
    }).pipe(Effect.scoped))

  it.live("does not wait for each skipped call when a program makes only the last of many calls", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v2").start
      const file = yield* fileIn
      const program = (from: number) =>
        Effect.flatMap(Sessions.Sessions, (sessions) =>
          sessions.use("peer", (session) =>
            Effect.forEach(
              Array.from({ length: 60 - from }, (_, n) => String(from + n)),
              (message) => session.callTool("echo", { message })
            )))
      yield* Effect.provide(program(0), sessionsOver(Recorded.record(file), config))
      const [time] = yield* Effect.timed(Effect.provide(program(59), sessionsOver(Recorded.replay(file), absent)))
      // A wait of half a second per call would add up to half a minute.
      assert.isBelow(Duration.toMillis(time), 20_000)
    }).pipe(Effect.scoped))

  it.live("lets a handler call the server during a request of that server", () =>
    Effect.gen(function*() {
      const transports = serving((server) => {
        server.registerTool("ask", {}, async ({ mcpReq }) => {
          const said = await mcpReq.elicitInput({
            mode: "form",
            message: "name?",
            requestedSchema: { type: "object", properties: {} }
          })
          return { content: [{ type: "text", text: JSON.stringify(said) }] }
        })
        server.registerTool("user", {}, () => ({ content: [{ type: "text", text: "Ada" }] }))
      })
      const file = yield* fileIn
      const run = (transports: Layer.Layer<Transport.Transports, Recorded.RecordingError>) =>
        Effect.gen(function*() {
          const user = yield* Deferred.make<Effect.Effect<unknown>>()
          // The handler completes its response with data from the server.
          const form = () =>
            Effect.as(Effect.flatten(Deferred.await(user)), { action: "accept" as const, content: { name: "Ada" } })
          const handlers = Layer.succeed(ClientHandlers.ClientHandlers, { elicitation: { form } })
          const layer = Sessions.layer({ servers: { peer: legacy } }).pipe(
            Layer.provide(Layer.merge(transports, handlers))
          )
          return yield* Effect.gen(function*() {
            const sessions = yield* Sessions.Sessions
            yield* Deferred.succeed(user, Effect.orDie(sessions.callTool("peer", "user")))
            return yield* sessions.callTool("peer", "ask")
          }).pipe(Effect.provide(layer))
        })
      const first = yield* run(Recorded.recordWith({ file, transports }))
      assert.deepStrictEqual(yield* run(Recorded.replay(file)), first)
    }).pipe(Effect.scoped))

  it.live("delivers a notification after the call that preceded it, while another call hangs", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const file = yield* fileIn
      const program = Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("peer"))
        const notifications = yield* read(session.notifications)
        yield* Queue.take(notifications)
        // The call takes longer than a replay waits before it continues without a call.
        yield* Effect.flip(session.callTool("hang", { id: "1" }, { timeout: "700 millis" }))
        const early = yield* Queue.size(notifications)
        yield* session.callTool("change")
        yield* Queue.take(notifications)
        return early
      }).pipe(Effect.scoped)
      for (const transports of [Recorded.record(file), Recorded.replay(file)]) {
        assert.strictEqual(yield* Effect.provide(program, sessionsOver(transports, config)), 0)
      }
    }).pipe(Effect.scoped))

  it.live("ends with its layer, and ends calls without a recorded outcome", () =>
    Effect.gen(function*() {
      const file = yield* fileIn
      const info = { era: "legacy", protocolVersion: "2025-11-25", capabilities: { tools: {} } }
      const lines = [
        { recording: "mcp-sessions", version: 1 },
        { event: "connect", connection: 1, server: "peer", kind: "stdio" },
        { event: "call", connection: 1, id: 1, method: "initialize" },
        { event: "result", connection: 1, id: 1, result: info },
        { event: "call", connection: 1, id: 2, method: "tools/call", params: { name: "hang", arguments: {} } },
        { event: "cancelled", connection: 1, id: 2 }
      ]
      writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"))
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(sessionsOver(Recorded.replay(file), legacy), scope)
      const session = yield* Effect.provide(
        Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("peer")),
        services
      )
      const call = yield* Effect.forkChild(Effect.exit(session.callTool("hang")), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
    }).pipe(Effect.scoped))
})
