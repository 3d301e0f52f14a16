/**
 * Processes of stdio servers that programs start in another way.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, RetryPolicy, type Session, SessionError, Sessions } from "@mcp-sessions/core"
import { Processes, Transports } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio"
import { Deferred, Effect, Fiber, Latch, Layer } from "effect"
import { PassThrough } from "node:stream"
import { setImmediate } from "node:timers"
import { fixture } from "../../fixtures/fixture.ts"
import { descendants, makeLedger, until } from "../../fixtures/peer.ts"

type Run = Parameters<typeof Processes.make>[0]

interface Keys {
  readonly command?: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Record<string, string>
  readonly maxMessageBytes?: number
  readonly protocol?: "auto" | "legacy"
}

const liveOf = (processes: Layer.Layer<never>, keys: Keys = {}) =>
  Sessions.layer({
    servers: { s: { transport: "stdio", command: "in-process", healthInterval: 0, ...keys } },
    retry: RetryPolicy.never
  }).pipe(Layer.provide(Transports.layer), Layer.provide(processes))

const use = <A, E>(
  processes: Layer.Layer<never>,
  f: (session: Session.Session) => Effect.Effect<A, E>,
  keys: Keys = {}
) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
    Effect.flatMap(f),
    Effect.scoped,
    Effect.provide(liveOf(processes, keys))
  )

const made = (run: Run) => Layer.succeed(Processes.Processes, Processes.make(run))

/** Serves an MCP server of the SDK until its input ends. */
const serve = (
  program: Parameters<Run>[0],
  call: (program: Parameters<Run>[0]) => string | Promise<string>
): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const server = new McpServer({ name: "fake", version: "1" })
    server.registerTool("tool", {}, async () => ({ content: [{ type: "text", text: await call(program) }] }))
    void server.connect(new StdioServerTransport(program.stdin, program.stdout))
    program.stdin.once("end", () => resume(Effect.succeed(0)))
  })

describe("a server that runs in this process", () => {
  it.live("is a session like any other, and gets command, arguments, environment and working directory", () =>
    Effect.gen(function*() {
      let ended = 0
      const processes = made((program) =>
        Effect.onExit(
          serve(program, ({ args, command, env, given }) => JSON.stringify([command, args, env.KEY, given])),
          () => Effect.sync(() => void ended++)
        )
      )
      const keys = { command: "weather", args: ["--city", "Rome"], env: { KEY: "value of the key" } }
      const { content } = yield* use(processes, (session) => session.callTool("tool"), keys)
      const text = JSON.stringify(["weather", ["--city", "Rome"], "value of the key", ["KEY"]])
      assert.deepStrictEqual(content, [{ type: "text", text }])
      assert.strictEqual(ended, 1)
    }))

  it.live("whose output fails ends the requests in flight, and not this process", () =>
    Effect.gen(function*() {
      const processes = made((program) =>
        serve(program, ({ stderr, stdin, stdout }) => {
          for (const stream of [stderr, stdin, stdout]) stream.destroy(new Error("broken"))
          return ""
        })
      )
      const outputs = made((program) =>
        serve(program, ({ stdout }) => {
          stdout.destroy(new Error("broken"))
          return ""
        })
      )
      for (const broken of [processes, outputs]) {
        const error = yield* use(broken, (session) => Effect.flip(session.callTool("tool")))
        assert(error._tag === "SessionError" && error.reason._tag === "OutcomeUnknown")
        assert.strictEqual(error.reason.lost._tag, "TransportClosed")
      }
    }))

  it.live("whose exit code is not a number exits with an unknown code", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(use(made(() => Effect.succeed(Number.NaN)), ({ ping }) => ping))
      assert(error._tag === "SessionError" && error.reason._tag === "ServerExited")
      assert.isNull(error.reason.exitCode)
    }))

  it.live("is interrupted if it outlives the end of its input", () =>
    Effect.gen(function*() {
      let isInterrupted = false
      const processes = made((program) =>
        Effect.andThen(serve(program, () => "ok"), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => void (isInterrupted = true)))
        )
      )
      yield* use(processes, (session) => session.callTool("tool"))
      assert.isTrue(isInterrupted)
    }))

  it.live("is stopped with its scope: finalizers of the program run", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const processes = made((program) =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => void closed.push("closed"))),
          serve(program, () => "ok")
        )
      )
      yield* use(processes, (session) => session.callTool("tool"))
      assert.deepStrictEqual(closed, ["closed"])
    }))

  it.live("whose exit ends requests in flight is typed, with its exit code and the end of stderr", () =>
    Effect.gen(function*() {
      const processes = made((program) => {
        const exit = Deferred.makeUnsafe<number>()
        const server = serve(program, () => {
          program.stderr.write("out of memory, key is value of the key\n")
          Deferred.doneUnsafe(exit, Effect.succeed(3))
          return new Promise(() => {})
        })
        return Effect.raceFirst(server, Deferred.await(exit))
      })
      const error = yield* use(processes, (session) => Effect.flip(session.callTool("tool")), {
        env: { KEY: "value of the key" }
      })
      assert(error.reason._tag === "OutcomeUnknown")
      assert.deepInclude(error.reason.lost, { _tag: "ServerExited", exitCode: 3 })
      assert.include(error.message, "out of memory")
      assert.notInclude(error.message, "value of the key")
    }))

  it.live("that dies by a defect exits with 1, and stderr shows the defect", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(use(made(() => Effect.die(new Error("a bug"))), () => Effect.void))
      assert(error._tag === "SessionError" && error.reason._tag === "ServerExited")
      assert.strictEqual(error.reason.exitCode, 1)
      assert.include(error.reason.stderrTail, "a bug")
    }))

  it.live("is held to the limits of the definition", () =>
    Effect.gen(function*() {
      const processes = made((program) => serve(program, () => "x".repeat(100_000)))
      const error = yield* use(processes, (session) => Effect.flip(session.callTool("tool")), {
        maxMessageBytes: 50_000
      })
      assert(error.reason._tag === "OutcomeUnknown")
      assert.deepInclude(error.reason.lost, { _tag: "MessageTooLarge", limit: 50_000 })
    }))

  it.live("is started once for concurrent callers, and stopped if the start is interrupted", () =>
    Effect.gen(function*() {
      const starting = yield* Latch.make()
      let running = 0
      const processes = made(() =>
        Effect.acquireRelease(
          Effect.andThen(starting.open, Effect.sync(() => void running++)),
          () => Effect.sync(() => void running--)
        ).pipe(Effect.andThen(Effect.never))
      )
      const connecting = yield* Effect.forkChild(use(processes, () => Effect.void))
      yield* starting.await
      assert.strictEqual(running, 1)
      yield* Fiber.interrupt(connecting)
      assert.strictEqual(running, 0)
    }))
})

describe("what starts processes", () => {
  it.live("may fail typed before a start waits for its turn", () =>
    Effect.gen(function*() {
      let starts = 0
      const refusing: Processes.Processes = {
        prepare: ({ command }) => new SessionError.SpawnFailed({ command, code: "ENOIMAGE" }),
        start: () => Effect.sync(() => void starts++ as never)
      }
      const error = yield* Effect.flip(use(Layer.succeed(Processes.Processes, refusing), () => Effect.void))
      assert(error._tag === "SessionError")
      assert.deepInclude(error.reason, { _tag: "SpawnFailed", command: "in-process", code: "ENOIMAGE" })
      assert.strictEqual(starts, 0)
    }))

  it.live("may report a process of its own by its streams and its exit alone", () =>
    Effect.gen(function*() {
      const own: Processes.Processes = {
        prepare: () => Effect.void,
        start: (options) =>
          Effect.gen(function*() {
            const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
            let exit: (how: Processes.ProcessExit) => void = () => {}
            const exited = new Promise<Processes.ProcessExit>((resolve) => {
              exit = resolve
            })
            yield* Effect.forkScoped(serve({ ...options, stdin, stdout, stderr }, () => "own"), {
              startImmediately: true
            })
            yield* Effect.addFinalizer(() => {
              stdin.end()
              return Effect.sync(() => exit({ exitCode: null, signal: "SIGTERM" }))
            })
            const warnings = () => ["runs on another machine"]
            return { stdin, stdout, stderr, warnings, exited }
          })
      }
      const seen = yield* use(Layer.succeed(Processes.Processes, own), (session) =>
        Effect.gen(function*() {
          const { content } = yield* session.callTool("tool")
          const { pid } = yield* session.connect
          return [content, pid]
        }))
      assert.deepStrictEqual(seen, [[{ type: "text", text: "own" }], undefined])
    }))

  it.live("may be wrapped: real processes run below another program, and end as a group", () =>
    Effect.gen(function*() {
      const wrapped = Layer.effect(
        Processes.Processes,
        Effect.map(
          Processes.Processes,
          Processes.mapOptions(({ args, command, ...options }) => ({
            ...options,
            command: "/bin/sh",
            // The shell stays, as the client of a container does.
            args: ["-c", "WRAPPED=yes \"$@\"; exit $?", "wrapper", command, ...args]
          }))
        )
      )
      const { file } = yield* makeLedger
      const keys = {
        command: process.execPath,
        args: [fixture("stdioServer.ts"), "v1", file],
        env: { MARK: file },
        protocol: "legacy" as const
      }
      const running = yield* use(wrapped, (session) =>
        Effect.map(session.callTool("echo", { message: "hi" }), ({ content }) => {
          assert.deepStrictEqual(content, [{ type: "text", text: "hi" }])
          return descendants(file).length
        }), keys)
      assert.strictEqual(running, 2)
      yield* until(() =>
        descendants(file), (left) =>
        left.length === 0)
    }).pipe(Effect.scoped))

  it.live("is asked before a command that does not exist is started, also where it is wrapped", () =>
    Effect.gen(function*() {
      const wrapped = Layer.effect(
        Processes.Processes,
        Effect.map(Processes.Processes, Processes.mapOptions((options) => ({ ...options, command: "no-such-wrapper" })))
      )
      const error = yield* Effect.flip(use(wrapped, () => Effect.void, { command: process.execPath }))
      assert(error._tag === "SessionError")
      assert.deepInclude(error.reason, { _tag: "SpawnFailed", command: "no-such-wrapper", code: "ENOENT" })
    }))

  it.live("is reported to have exited after the output that it left in its pipes, also if they stay open", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, { stderr: (line) => void lines.push(line) })
      // A busy machine: the exit is known before the output is read. A descendant holds the pipes.
      const exited: Processes.Processes = {
        prepare: () => Effect.void,
        start: () =>
          Effect.sync(() => {
            const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
            setImmediate(() => setImmediate(() => stderr.write("line 1\nFATAL: no key")))
            return { stdin, stdout, stderr, exited: Promise.resolve({ exitCode: 3, signal: null }) }
          })
      }
      const live = Layer.succeed(Processes.Processes, exited)
      const program = use(live, () => Effect.void, { protocol: "legacy" }).pipe(
        Effect.catch((error) => Effect.succeed({ error, lines: [...lines] })),
        Effect.provide(handlers)
      )
      const failed = yield* program
      assert(failed?.error._tag === "SessionError")
      assert.deepInclude(failed.error.reason, {
        _tag: "ServerExited",
        exitCode: 3,
        stderrTail: "line 1\nFATAL: no key"
      })
      assert.deepStrictEqual(failed.lines, ["line 1", "FATAL: no key"])
    }))
})
