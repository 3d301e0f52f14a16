/**
 * Servers that are processes: how they start, what they say, and that nothing of them is left.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type ConfigError,
  RetryPolicy,
  type ServerConfig,
  Session,
  type SessionError,
  Sessions
} from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { Worker } from "node:worker_threads"
import { standardVariables } from "../../../packages/transports/src/internal/inheritedVariables.ts"
import { fixture, isAlive, makeLedger, until } from "../../fixtures/peer.ts"

const faulty = (mode: string, file: string, ...rest: ReadonlyArray<string>) => ({
  transport: "stdio" as const,
  command: process.execPath,
  args: [fixture("faultyStdio.mjs"), mode, file, ...rest]
})

const layerOf = (config: ServerConfig.ServerConfigInput, retry: RetryPolicy.RetryPolicy = RetryPolicy.never) =>
  Sessions.layer({ servers: { s: config }, retry }).pipe(Layer.provide(Transports.layer))

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const failure = (config: ServerConfig.ServerConfigInput) =>
  Effect.flip(get).pipe(
    Effect.flatMap((error: SessionError.SessionError | ConfigError.ConfigError) =>
      error._tag === "SessionError" ? Effect.succeed(error.reason) : Effect.die(error)
    ),
    Effect.scoped,
    Effect.provide(layerOf(config))
  )

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, millis: performance.now() - start }))
  })

describe("starting a stdio server", () => {
  it.live("names the server and the command when the command does not exist", () =>
    Effect.gen(function*() {
      const config = { transport: "stdio", command: "no-such-command", args: [] } as const
      const error = yield* Effect.flip(get).pipe(Effect.scoped, Effect.provide(layerOf(config)))
      assert.strictEqual(
        error.message,
        "s: cannot start \"no-such-command\" (ENOENT); the command must be installed and on PATH"
      )
      assert.deepInclude(error, { _tag: "SessionError", server: "s", delivery: "NotSent", isRetryable: false })
    }))

  it.live("names a session without a name by the program, or by the host of the URL", () =>
    Effect.gen(function*() {
      const definitions = [
        [
          { command: "/no/such/program" },
          "program: cannot start \"/no/such/program\" (ENOENT); there is no such program"
        ],
        [{ url: "http://127.0.0.1:1/mcp" }, "127.0.0.1:1: cannot reach "],
        [{ url: "ws://127.0.0.1:1/mcp" }, "127.0.0.1:1: cannot reach "]
      ] as const
      for (const [definition, message] of definitions) {
        const error = yield* Effect.flip(Effect.scoped(Session.make(definition, { retry: RetryPolicy.never })))
        assert.isTrue(error.message.startsWith(message), error.message)
      }
      const named = Session.make({ command: "no-such-command" }, { name: "files", retry: RetryPolicy.never })
      assert.include((yield* Effect.flip(Effect.scoped(named))).message, "files: cannot start")
    }).pipe(Effect.provide(Transports.layer)))

  it.live("fails when the file cannot be executed", () =>
    Effect.map(
      failure({ transport: "stdio", command: fixture("faultyStdio.mjs"), args: [] }),
      (reason) => assert.deepInclude(reason, { _tag: "SpawnFailed", code: "EACCES" })
    ))

  it.live("names the working directory, not the command, when the directory is missing", () =>
    Effect.gen(function*() {
      const reason = yield* failure({ transport: "stdio", command: process.execPath, args: [], cwd: "/no/such/place" })
      assert.deepInclude(reason, { _tag: "SpawnFailed", cwd: "/no/such/place" })
      assert.include(reason.message, "in \"/no/such/place\", which is not a directory")
    }))

  for (
    const [how, exitCode, signal] of [["0", 0, null], ["1", 1, null], ["127", 127, null], [
      "SIGKILL",
      null,
      "SIGKILL"
    ]] as const
  ) {
    it.live(`reports how a server exited that exits at once: ${how}`, () =>
      Effect.gen(function*() {
        const reason = yield* failure(faulty("exit", "", how, "no_key"))
        assert.deepInclude(reason, {
          _tag: "ServerExited",
          exitCode,
          signal,
          delivery: "NotSent",
          stderrTail: "starting\nno key"
        })
      }))
  }

  it.live("passes every argument to the server unchanged, without a shell", () =>
    Effect.gen(function*() {
      const { directory, file, read } = yield* makeLedger
      const words = ["a && touch evil", "$(touch evil)", "; touch evil", "`touch evil`", "| x", "-e", "--", "*", ""]
      const config = { ...faulty("words", file, ...words), cwd: directory }
      yield* get.pipe(Effect.scoped, Effect.provide(layerOf(config)))
      assert.deepStrictEqual(read("words").map((line) => JSON.parse(line)), [words])
      const command = `touch evil && ${process.execPath}`
      const reason = yield* failure({ transport: "stdio", command, args: [], cwd: directory })
      assert.deepInclude(reason, { _tag: "SpawnFailed", command, code: "ENOENT" })
      assert.deepStrictEqual(readdirSync(directory), ["ledger"])
    }).pipe(Effect.scoped))

  it.live("keeps secrets of the definition out of the tail of stderr", () =>
    Effect.gen(function*() {
      const reason = yield* failure({ ...faulty("exit", "", "1", "bad_key_sk-12345!"), env: { KEY: "sk-12345" } })
      assert.strictEqual(reason._tag === "ServerExited" && reason.stderrTail, "starting\nbad key <redacted>!")
    }))

  it.live("passes the short list of variables, those that the definition names and its env, and no other variable", () =>
    Effect.gen(function*() {
      Object.assign(process.env, { MCP_SESSIONS_TEST_LEAK: "leaked", MCP_SESSIONS_TEST_NAMED: "named" })
      const { file } = yield* makeLedger
      const config = {
        transport: "stdio" as const,
        command: process.execPath,
        args: [fixture("stdioServer.ts"), "v1", file],
        env: { OWN: "value" },
        inheritEnv: ["MCP_SESSIONS_TEST_N*"]
      }
      const result = yield* Effect.flatMap(get, (session) => session.callTool("environment")).pipe(
        Effect.scoped,
        Effect.provide(layerOf(config))
      )
      const [block] = result.content
      const environment = JSON.parse(block?.type === "text" ? block.text : "{}")
      const expected = { ...standardVariables(process), MCP_SESSIONS_TEST_NAMED: "named", OWN: "value" }
      assert.deepStrictEqual(environment, expected)
      assert.strictEqual(environment.PATH, process.env.PATH)
    }).pipe(Effect.scoped))
})

describe("a stdio connection", () => {
  const pids = (read: (word: string) => ReadonlyArray<string>) => read("process")

  it.live("restarts a server that exits on the era probe, and remembers that it is legacy", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* Effect.gen(function*() {
        const session = yield* get
        const info = yield* session.connect
        assert.strictEqual(info.era, "legacy")
        assert.strictEqual(info.protocolVersion, "2025-06-18")
        assert.strictEqual(pids(read).length, 2)
        assert.strictEqual(pids(read).filter(isAlive).length, 1)
        process.kill(info.pid ?? 0, "SIGKILL")
        yield* until(() => pids(read).filter(isAlive), (alive) => alive.length === 0)
        yield* session.callTool("x", {}, { idempotent: true })
        assert.strictEqual(pids(read).length, 3)
        assert.strictEqual(read("message").filter((method) => method === "server/discover").length, 1)
      }).pipe(
        Effect.scoped,
        Effect.provide(layerOf(faulty("strict", file), RetryPolicy.spaced({ retries: 1, delay: 0 })))
      )
      assert.deepStrictEqual(pids(read).filter(isAlive), [])
    }).pipe(Effect.scoped))

  for (const [mode, title] of [["silent", "silence"], ["plain", "a refusal"]] as const) {
    it.live(`takes ${title} on the era probe for a legacy server, without a second process`, () =>
      Effect.gen(function*() {
        const { file, read } = yield* makeLedger
        const config = { ...faulty(mode, file), probeTimeout: "300 millis" } as const
        const { millis } = yield* timed(
          Effect.flatMap(get, (session) => session.callTool("x")).pipe(Effect.scoped, Effect.provide(layerOf(config)))
        )
        if (mode === "silent") assert.isAbove(millis, 300)
        assert.strictEqual(pids(read).length, 1)
        const greeting = ["server/discover", "initialize", "notifications/initialized", "tools/call"]
        assert.deepStrictEqual(read("message"), greeting)
      }).pipe(Effect.scoped))
  }

  it.live("does not probe when the definition says legacy", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* get.pipe(Effect.scoped, Effect.provide(layerOf({ ...faulty("strict", file), protocol: "legacy" })))
      assert.deepStrictEqual(read("message"), ["initialize", "notifications/initialized"])
    }).pipe(Effect.scoped))

  it.live("fails typed when a server lacks the revision that the definition requires", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const reason = yield* failure({ ...faulty("plain", file), protocol: "2026-07-28" })
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.deepStrictEqual(pids(read).filter(isAlive), [])
    }).pipe(Effect.scoped))

  it.live("skips lines that are not messages, and warns about them", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const config = { ...faulty("banner", file), encodingErrors: "replace" as const, env: { SECRET: "Welcome" } }
      yield* Effect.gen(function*() {
        const session = yield* get
        const { warnings } = yield* session.connect
        assert.deepStrictEqual(warnings, [
          "printed 5 non-JSON-RPC lines to stdout, first: \"<redacted> to the server\""
        ])
        const result = yield* session.callTool("x")
        assert.deepStrictEqual(result.content, [{ type: "text", text: "x" }])
      }).pipe(Effect.scoped, Effect.provide(layerOf(config)))
    }).pipe(Effect.scoped))

  it.live("fails when a server prints more non-JSON-RPC lines than the definition allows, and quotes the first", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const reason = yield* failure({ ...faulty("banner", file), encodingErrors: "replace" as const, maxNoiseLines: 4 })
      assert.strictEqual(reason._tag, "TransportFailed")
      assert.include(reason.message, "more than 4 non-JSON-RPC lines")
      assert.include(reason.message, "Welcome to the server")
      assert.deepStrictEqual(pids(read).filter(isAlive), [])
    }).pipe(Effect.scoped))

  for (const mode of ["noresult", "nullerror"] as const) {
    it.live(`fails a request typed on a response without result and error (${mode}), and stays usable`, () =>
      Effect.gen(function*() {
        const { file } = yield* makeLedger
        yield* Effect.gen(function*() {
          const session = yield* get
          assert.strictEqual((yield* Effect.flip(session.callTool("x"))).reason._tag, "InvalidResult")
          yield* session.ping
          assert.strictEqual(yield* session.generation, 1)
        }).pipe(Effect.scoped, Effect.provide(layerOf(faulty(mode, file))))
      }).pipe(Effect.scoped))
  }

  it.live("refuses arguments that cannot be encoded as JSON, without sending", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* Effect.gen(function*() {
        const session = yield* get
        const error = yield* Effect.flip(session.callTool("x", { big: 1n }))
        assert.strictEqual(error.reason._tag, "Unsupported")
        assert.strictEqual(error.delivery, "NotSent")
        yield* session.callTool("y")
        assert.deepStrictEqual(read("call"), ["y"])
      }).pipe(Effect.scoped, Effect.provide(layerOf(faulty("plain", file))))
    }).pipe(Effect.scoped))

  it.live("replaces a server that exited while idle at the next call, not before", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* Effect.gen(function*() {
        const { status } = yield* Sessions.Sessions
        const session = yield* get
        yield* session.callTool("leave")
        // A call on the heels of the exit would have been written to nobody, and be lost.
        const { health: { lastError } } = yield* Effect.repeat(status("s"), {
          until: ({ health }) => health.errorCount === 1,
          schedule: Schedule.spaced("10 millis")
        }).pipe(Effect.timeout("5 seconds"))
        assert.deepInclude(lastError?.reason, { _tag: "ServerExited", exitCode: 0, signal: null })
        assert.strictEqual(pids(read).length, 1)
        yield* session.callTool("again")
        assert.strictEqual(yield* session.generation, 2)
        assert.deepStrictEqual(read("call"), ["leave", "again"])
        assert.strictEqual(pids(read).length, 2)
      }).pipe(Effect.scoped, Effect.provide(layerOf(faulty("plain", file))))
    }).pipe(Effect.scoped))

  it.live("serves other calls, on every server, while a handler never ends", () =>
    Effect.gen(function*() {
      const ledgers = [yield* makeLedger, yield* makeLedger] as const
      const [slow, fast] = ledgers.map(({ file }) => faulty("chatty", file))
      const layer = Sessions.layer({ servers: { slow: slow ?? faulty("", ""), fast: fast ?? faulty("", "") } })
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const stalled = yield* Deferred.make<void>()
        const onProgress = () => Effect.andThen(Deferred.succeed(stalled, undefined), Effect.never)
        const held = yield* Effect.forkChild(sessions.callTool("slow", "x", {}, { onProgress }))
        yield* Deferred.await(stalled)
        for (const server of ["slow", "fast"]) {
          yield* Effect.forEach(Array.from({ length: 20 }), () => sessions.callTool(server, "x"), { discard: true })
        }
        assert.isUndefined(held.pollUnsafe())
        yield* Fiber.interrupt(held)
      }).pipe(Effect.provide(layer.pipe(Layer.provide(Transports.layer))))
    }).pipe(Effect.scoped))

  it.live("rejects requests of a server for capabilities that were not declared, and stays usable", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const result = yield* Effect.flatMap(get, (session) => session.callTool("x")).pipe(
        Effect.scoped,
        Effect.provide(layerOf({ ...faulty("asking", file), protocol: "legacy" }))
      )
      assert.deepStrictEqual(result.content, [{ type: "text", text: "x" }])
      const answers = read("answer").map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        answers.map(({ id, error }) => [id, error?.code]),
        ["sampling/createMessage", "elicitation/create", "roots/list", "no/such"].map((id) => [id, -32601])
      )
    }).pipe(Effect.scoped))

  it.live("replaces a server that closes its stdout and keeps running", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* Effect.gen(function*() {
        const session = yield* get
        const { reason } = yield* Effect.flip(session.callTool("close"))
        assert.strictEqual(reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag, "TransportClosed")
        yield* session.callTool("again")
        assert.strictEqual(yield* session.generation, 2)
      }).pipe(Effect.scoped, Effect.provide(layerOf(faulty("closing", file))))
      assert.deepStrictEqual(pids(read).filter(isAlive), [])
    }).pipe(Effect.scoped))

  for (
    const [title, mode, tag] of [
      ["a huge message", "huge", "MessageTooLarge"],
      ["a garbled message", "garbled", "TransportFailed"]
    ] as const
  ) {
    it.live(`ends typed on ${title}, and the next call reconnects`, () =>
      Effect.gen(function*() {
        const { file, read } = yield* makeLedger
        yield* Effect.gen(function*() {
          const session = yield* get
          const { reason } = yield* Effect.flip(session.callTool("x"))
          assert.strictEqual(reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag, tag)
          assert.deepStrictEqual(read("call"), ["x"])
          yield* session.listTools()
          assert.strictEqual(yield* session.generation, 2)
        }).pipe(Effect.scoped, Effect.provide(layerOf({ ...faulty(mode, file), maxMessageBytes: 50_000 })))
        assert.deepStrictEqual(pids(read).filter(isAlive), [])
      }).pipe(Effect.scoped))
  }

  it.live("quotes no part of a secret from a line that is cut off", () =>
    Effect.gen(function*() {
      const token = `eyJ${"abcdefghij".repeat(30)}`
      const { file } = yield* makeLedger
      const config = { ...faulty("token", file), env: { TOKEN: token } }
      yield* Effect.gen(function*() {
        const { warnings } = yield* (yield* get).connect
        assert.include(warnings.join(), "token=<redacted>")
        assert.notInclude(warnings.join(), token.slice(0, 20))
      }).pipe(Effect.scoped, Effect.provide(layerOf(config)))
    }).pipe(Effect.scoped))
})

describe.concurrent("closing a stdio connection", () => {
  const pidsOf = (read: (word: string) => ReadonlyArray<string>) => read("process").filter(isAlive)

  const closes = (mode: string) =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const start = { at: 0 }
      yield* Effect.andThen(
        get,
        Effect.sync(() => {
          start.at = performance.now()
        })
      ).pipe(Effect.scoped, Effect.provide(layerOf(faulty(mode, file))))
      const millis = performance.now() - start.at
      assert.isAbove(read("process").length, 0)
      assert.deepStrictEqual(read("process").filter(isAlive), [])
      return { millis, deaf: read("deaf") }
    }).pipe(Effect.scoped)

  it.live("closes at once when the server exits on the end of its input", () =>
    Effect.map(closes("plain"), ({ deaf }) => assert.deepStrictEqual(deaf, [])))

  it.live("kills a server that ignores the end of its input and SIGTERM, one step after the other", () =>
    Effect.map(closes("stubborn"), ({ deaf, millis }) => {
      assert.deepStrictEqual(deaf, ["SIGTERM"])
      assert.isAtLeast(millis, 1950)
    }))

  it.effect("reports the connect timeout of a silent server in time, while its process is still being ended", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const config = { ...faulty("mute", file), protocol: "legacy" as const, connectTimeout: "500 millis" }
      yield* Effect.gen(function*() {
        const connecting = yield* Effect.forkChild(Effect.flip(get), { startImmediately: true })
        yield* TestClock.withLive(until(() => read("message"), (messages) => messages.includes("initialize")))
        yield* TestClock.adjust("500 millis")
        const error = yield* Fiber.join(connecting)
        assert.strictEqual(error._tag === "SessionError" && error.reason._tag, "ConnectTimeout")
        assert.strictEqual(read("process").filter(isAlive).length, 1)
      }).pipe(Effect.scoped, Effect.provide(layerOf(config)))
      assert.deepStrictEqual(read("process").filter(isAlive), [])
    }).pipe(Effect.scoped))

  it.live("kills the servers of a program that exits without closing its sessions", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const program = spawn(process.execPath, [fixture("abruptExit.ts"), fixture("faultyStdio.mjs"), file, "stubborn"])
      yield* Effect.promise(() => once(program, "exit"))
      assert.strictEqual(program.exitCode, 3)
      assert.strictEqual(read("process").length, 1)
      yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
    }).pipe(Effect.scoped))

  for (const signal of ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"] as const) {
    it.live(`ends the servers of a program that ends by ${signal}, and their children, though these ignore polite requests`, () =>
      Effect.gen(function*() {
        const { file, read } = yield* makeLedger
        const words = [fixture("abruptExit.ts"), fixture("faultyStdio.mjs"), file, "stubborn", "wait", "family"]
        const program = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] })
        yield* Effect.promise(() => once(program.stdout, "data"))
        assert.strictEqual(pidsOf(read).length, 2)
        program.kill(signal)
        yield* Effect.promise(() => once(program, "exit"))
        assert.strictEqual(program.signalCode, signal)
        yield* until(() => pidsOf(read), (alive) => alive.length === 0)
        // It was asked first.
        assert.include(read("deaf"), "SIGTERM")
      }).pipe(Effect.scoped))
  }

  it.live("ends the servers of a worker that is terminated, and their children, though these ignore polite requests", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const argv = [fixture("faultyStdio.mjs"), file, "stubborn", "wait", "family"]
      const worker = new Worker(fixture("abruptExit.ts"), { argv, stdout: true })
      yield* Effect.promise(() => once(worker.stdout, "data"))
      assert.strictEqual(pidsOf(read).length, 2)
      yield* Effect.promise(() => worker.terminate())
      yield* until(() => pidsOf(read), (alive) => alive.length === 0)
    }).pipe(Effect.scoped))

  it.live("ends the input of the servers when the program is killed, and they exit", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const words = [fixture("abruptExit.ts"), fixture("faultyStdio.mjs"), file, "plain", "wait"]
      const program = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] })
      yield* Effect.promise(() => once(program.stdout, "data"))
      assert.strictEqual(pidsOf(read).length, 1)
      program.kill("SIGKILL")
      yield* Effect.promise(() => once(program, "exit"))
      yield* until(() => pidsOf(read), (alive) => alive.length === 0)
    }).pipe(Effect.scoped))
})
