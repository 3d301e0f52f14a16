/**
 * The promise facade. The tests use Effect only for their fixtures.
 */
import { McpSessions as CoreSessions, type ServerConfig } from "@mcp-sessions/core"
import { isConfigError, isSessionError, McpSessions, Memory, text } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Console, Effect, Layer } from "effect"
import { assert, describe, expectTypeOf, it } from "vitest"
import { makeAsking } from "./fixtures/asking.ts"
import { toolNames } from "./fixtures/behaviour.ts"
import { fixture, isAlive, makeLedger, until } from "./fixtures/peer.ts"

const withLedger = (
  use: (sessions: McpSessions.McpSessions, read: (word: string) => ReadonlyArray<string>) => Promise<void>,
  more: Readonly<Record<string, ServerConfig.ServerConfigInput>> = {}
) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(makeLedger, ({ file, read }) =>
    Effect.promise(async () => {
      {
        await using sessions = McpSessions.open({
          retry: { times: 2, delay: 1000 },
          servers: {
            good: { transport: "stdio", command: process.execPath, args: [fixture("stdioServer.ts"), "v2", file] },
            absent: { transport: "stdio", command: "no-such-command", args: [] },
            ...more
          }
        })
        await use(sessions, read)
      }
      assert.deepStrictEqual(read("process").filter(isAlive), [])
    }))))

const rejection = (promise: Promise<unknown>): Promise<object> =>
  promise.then(() => assert.fail("should have been rejected"), (error: object) => error)

/** The reason of a `SessionError` that a promise rejects with. */
const reasonOf = async (promise: Promise<unknown>) => {
  const error = await rejection(promise)
  return isSessionError(error) ? error.reason : assert.fail(`rejected with ${String(error)}`)
}

describe("McpSessions", () => {
  it("calls tools, lists them and leaves no process behind", () =>
    withLedger(async (sessions, read) => {
      const result = await sessions.callTool("good", "echo", { message: "hi" })
      assert.deepStrictEqual(result.content, [{ type: "text", text: "hi" }])
      await using good = await sessions.get("good")
      assert.strictEqual((await good.listTools()).length, toolNames.length)
      assert.strictEqual((await good.connect()).era, "modern")
      await good.ping()
      const status = await sessions.status("good")
      assert.isTrue(status.health.isHealthy)
      assert.deepInclude(status, { server: "good", circuit: { state: "closed" } })
      assert.strictEqual(read("process").length, 1)
      await sessions.restart("good")
      await good.ping()
      assert.strictEqual(await good.generation(), 2)
    }))

  it("ejects a server, whose calls reject at once, and readmits it", () =>
    withLedger(async (sessions, read) => {
      await sessions.callTool("good", "echo", { message: "hi" })
      await sessions.eject("good")
      assert.strictEqual((await reasonOf(sessions.callTool("good", "echo", { message: "no" })))._tag, "ServerEjected")
      await Effect.runPromise(until(() => read("process").filter(isAlive), (alive) => alive.length === 0))
      await sessions.readmit("good")
      assert.strictEqual(text(await sessions.callTool("good", "echo", { message: "back" })), "back")
      assert.strictEqual(read("process").length, 2)
      assert.isTrue(isConfigError(await rejection(sessions.eject("other"))))
    }))

  it("iterates over notifications until the loop is left or the signal is aborted", () =>
    withLedger(async (sessions, read) => {
      await using good = await sessions.get("good")
      const seen: Array<string> = []
      for await (const notification of good.notifications()) {
        seen.push(notification._tag)
        if (notification._tag === "ToolsChanged") break
        await good.callTool("change")
      }
      assert.deepStrictEqual(seen, ["Listening", "ToolsChanged"])
      for await (const tools of good.watchTools()) {
        assert.strictEqual(tools.length, toolNames.length)
        break
      }
      const controller = new AbortController()
      const reason = new Error("enough")
      const loop = (async () => {
        for await (const update of good.subscribe("note://1", { signal: controller.signal })) {
          assert.strictEqual(update._tag, "Listening")
          controller.abort(reason)
        }
      })()
      assert.deepInclude(await reasonOf(loop), { _tag: "Cancelled", delivery: "Unknown", cause: reason })
      const aborted = (async () => {
        for await (const _ of good.notifications({ signal: AbortSignal.abort(reason) })) assert.fail("was notified")
      })()
      assert.deepInclude(await reasonOf(aborted), { _tag: "Cancelled", delivery: "NotSent", cause: reason })
      assert.strictEqual(read("process").length, 1)
    }))

  it("passes progress to a plain function", () =>
    withLedger(async (sessions) => {
      const messages: Array<string | undefined> = []
      const onProgress = ({ message }: { readonly message?: string | undefined }) => void messages.push(message)
      await sessions.callTool("good", "steps", {}, { onProgress })
      assert.deepStrictEqual(messages, ["step 1", "step 2", "step 3"])
    }))

  it("rejects with typed errors", () =>
    withLedger(async (sessions) => {
      const spawn = await rejection(sessions.get("absent"))
      assert.deepInclude(spawn, { _tag: "SessionError", server: "absent" })
      assert.isTrue(spawn instanceof Error)
      assert.deepInclude((spawn as { readonly reason: object }).reason, { _tag: "SpawnFailed", code: "ENOENT" })
      assert.deepInclude(await rejection(sessions.callTool("nobody", "x")), { _tag: "ConfigError" })
    }))

  it("rejects an invalid configuration at the first use, before it starts a process", () =>
    withLedger(async (sessions, read) => {
      assert.deepInclude(await rejection(sessions.get("good")), { _tag: "ConfigError" })
      assert.deepStrictEqual(read("process"), [])
    }, { bad: { transport: "stdio", command: "", args: [] } }))

  it("cancels an aborted call on the server, and rejects with the typed reason Cancelled", () =>
    withLedger(async (sessions, read) => {
      await using good = await sessions.get("good")
      const before = await sessions.status("good")
      const reason = new Error("enough")
      const controller = new AbortController()
      const call = reasonOf(good.callTool("hang", { id: "1" }, { signal: controller.signal }))
      await Effect.runPromise(until(() => read("hang"), (started) => started.length === 1))
      controller.abort(reason)
      const cancelled = await call
      assert.deepInclude(cancelled, { _tag: "Cancelled", delivery: "Unknown", cause: reason })
      assert.deepInclude(cancelled, { isRetryable: false, losesConnection: false, health: "untouched" })
      await Effect.runPromise(until(() => read("cancelled"), (cancelled) => cancelled.length === 1))
      await good.ping()
      assert.strictEqual(await good.generation(), 1)
      assert.strictEqual((await sessions.status("good")).health.errorCount, before.health.errorCount)
    }))

  it("sends nothing for a signal that is aborted before the call, and rejects with Cancelled as NotSent", () =>
    withLedger(async (sessions, read) => {
      const reason = new Error("enough")
      const options = { signal: AbortSignal.abort(reason) }
      assert.deepInclude(await reasonOf(sessions.get("good", options)), { _tag: "Cancelled", delivery: "NotSent" })
      assert.deepStrictEqual(read("process"), [])
      await using good = await sessions.get("good")
      const aborted = [
        good.callTool("count", { id: "never" }, options),
        sessions.callTool("good", "count", { id: "never" }, options),
        good.listTools(options),
        good.ping(options)
      ]
      for (const promise of aborted) {
        assert.deepInclude(await reasonOf(promise), { _tag: "Cancelled", delivery: "NotSent", cause: reason })
      }
      assert.deepStrictEqual(read("count"), [])
      assert.strictEqual(text(await good.callTool("echo", { message: "hi" })), "hi")
    }))

  it("rejects with Cancelled as NotSent when the signal is aborted while the server is still being connected", () =>
    withLedger(async (sessions) => {
      const controller = new AbortController()
      const call = reasonOf(sessions.callTool("mute", "echo", {}, { signal: controller.signal }))
      await new Promise((resolve) => setTimeout(resolve, 100))
      controller.abort()
      assert.deepInclude(await call, { _tag: "Cancelled", delivery: "NotSent" })
    }, { mute: { transport: "stdio", command: process.execPath, args: ["-e", "process.stdin.resume()"] } }))

  it("rejects calls in flight with a typed error when the sessions are closed", async () => {
    const calls: Array<Promise<object>> = []
    await withLedger(async (sessions, read) => {
      const good = await sessions.get("good")
      calls.push(rejection(good.callTool("hang", { id: "1" })))
      await Effect.runPromise(until(() => read("hang"), (started) => started.length === 1))
    })
    assert.deepInclude(await calls[0], { _tag: "SessionError" })
  })

  it("opens a separate session with an optional manual handshake", () =>
    withLedger(async (sessions, read) => {
      await using shared = await sessions.get("good")
      {
        await using own = await sessions.open("good")
        await using manual = await sessions.open("good", { handshake: "manual" })
        assert.strictEqual(manual.server, "good")
        const initialized = await manual.initialize()
        assert.strictEqual(text(await initialized.callTool("echo", { message: "hi" })), "hi")
        const pids = await Promise.all([shared, own, initialized].map(async (session) => (await session.connect()).pid))
        assert.strictEqual(new Set(pids).size, 3)
      }
      await Effect.runPromise(until(() => read("process").filter(isAlive), (alive) => alive.length === 1))
      await shared.ping()
    }))

  it("rejects calls with SessionClosed after the sessions were closed, even twice", async () => {
    const sessions = McpSessions.open({ servers: {} })
    await sessions.close()
    await sessions[Symbol.asyncDispose]()
    const error = await rejection(sessions.callTool("x", "y"))
    assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "SessionClosed")
  })

  it("exposes no Effect types", () => {
    expectTypeOf<ReturnType<McpSessions.McpSessions["callTool"]>>().resolves.toHaveProperty("content")
    expectTypeOf<McpSessions.McpSession>().toExtend<AsyncDisposable>()
    expectTypeOf<McpSessions.SignalOptions["signal"]>().toEqualTypeOf<CoreSessions.Signal | undefined>()
    expectTypeOf<AbortSignal>().toExtend<CoreSessions.Signal>()
    expectTypeOf<McpSessions.PlainOrigin["signal"]>().toEqualTypeOf<AbortSignal>()
    type CallOptions = NonNullable<Parameters<McpSessions.McpSession["callTool"]>[2]>
    expectTypeOf<CallOptions["retry"]>().toEqualTypeOf<McpSessions.RetryOptions | undefined>()
    expectTypeOf<CallOptions["timeout"]>().toEqualTypeOf<McpSessions.TimeSpan | undefined>()
    expectTypeOf<NonNullable<CallOptions["onProgress"]>>().returns.toEqualTypeOf<void | Promise<void>>()
    expectTypeOf<McpSessions.McpSession["setLogLevel"]>().parameter(1).toEqualTypeOf<
      McpSessions.SignalOptions | undefined
    >()
    expectTypeOf<ReturnType<McpSessions.McpSession["subscribe"]>>().toExtend<AsyncIterable<{ readonly _tag: string }>>()
    expectTypeOf<ReturnType<McpSessions.McpSession["generation"]>>().resolves.toEqualTypeOf<number>()
  })

  it("rejects an iteration that begins after the sessions were closed", async () => {
    const iterables: Array<AsyncIterable<unknown>> = []
    await withLedger(async (sessions) => {
      const good = await sessions.get("good")
      iterables.push(good.notifications(), good.subscribe("note://1"), good.watchTools())
    })
    for (const iterable of iterables) {
      const error = await rejection(iterable[Symbol.asyncIterator]().next())
      assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "SessionClosed")
    }
  })

  it("falls back to another server for an operation that returns a promise", () =>
    withLedger(async (sessions, read) => {
      const servers = ["absent", "good"] as const
      const result = await sessions.withFallback({ servers }, (session) => session.callTool("count", { id: "1" }))
      assert.isArray(result.content)
      assert.deepStrictEqual(read("count"), ["1"])
      const mine = new Error("mine")
      assert.strictEqual(await rejection(sessions.withFallback({ servers }, () => Promise.reject(mine))), mine)
      const none = await rejection(sessions.withFallback({ servers: ["absent"] }, (session) => session.ping()))
      assert.deepInclude(none, { _tag: "AllServersFailed" })
      const reason = new Error("enough")
      const aborted = sessions.withFallback({ servers, signal: AbortSignal.abort(reason) }, (session) => session.ping())
      assert.deepInclude(await reasonOf(aborted), { _tag: "Cancelled", delivery: "NotSent", cause: reason })
    }))

  it("reports the delivery of an aborted fallback operation", () =>
    withLedger(async (sessions, read) => {
      const run = (operation: (session: McpSessions.McpSession) => Promise<unknown>, controller: AbortController) =>
        reasonOf(sessions.withFallback({ servers: ["good"], signal: controller.signal }, operation))
      const first = new AbortController()
      const silent = run(() => {
        first.abort()
        return new Promise(() => {})
      }, first)
      assert.deepInclude(await silent, { _tag: "Cancelled", delivery: "NotSent" })
      const second = new AbortController()
      const sent = run((session) => session.callTool("hang", { id: "1" }), second)
      await Effect.runPromise(until(() => read("hang"), (started) => started.length === 1))
      second.abort()
      assert.deepInclude(await sent, { _tag: "Cancelled", delivery: "Unknown" })
    }))

  it("leases sessions from a pool, and closes the pool with the sessions", () =>
    withLedger(async (sessions) => {
      {
        await using pool = await sessions.pool({ server: "good", max: 2, acquireTimeout: "20 seconds" })
        const pids = new Set<number | undefined>()
        let resolve = () => {}
        const both = new Promise<void>((resolved) => {
          resolve = resolved
        })
        await Promise.all([1, 2].map(() =>
          pool.use(async (session) => {
            pids.add((await session.connect()).pid)
            if (pids.size === 2) resolve()
            // Neither lease ends before the other one has started.
            await both
          })
        ))
        assert.deepInclude(await pool.stats(), { total: 2, max: 2 })
        await pool.drain()
      }
      const kept = await sessions.pool({ server: "good", acquireTimeout: "20 seconds" })
      await kept.callTool("count", { id: "2" })
      assert.deepInclude(await rejection(sessions.pool({ server: "nobody" })), { _tag: "ConfigError" })
    }))

  it("takes the credentials of owners from a promise", async () => {
    await using sessions = McpSessions.open({
      servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } },
      credentials: ({ owner }) =>
        owner === "nobody" ? Promise.reject(new Error("no token")) : Promise.resolve({ env: { TOKEN: `of ${owner}` } })
    })
    const { content } = await sessions.callTool("everything", "get-env", {}, { owner: "me" })
    assert.include(JSON.stringify(content), "of me")
    const error = await rejection(sessions.callTool("everything", "get-env", {}, { owner: "nobody" }))
    assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "CredentialsFailed")
  })

  it("retries according to plain numbers, also in the options of a call", async () => {
    let connects = 0
    await using sessions = CoreSessions.make({
      transports: Memory.layerTransports({
        failing: () => {
          connects++
          return Promise.reject(new Error("no"))
        }
      }),
      servers: { failing: { transport: "stdio", command: "none", args: [] } },
      retry: { times: 2, delay: 1 },
      circuit: { failures: 100, openFor: "1 second" }
    })
    await rejection(sessions.callTool("failing", "x"))
    assert.strictEqual(connects, 3)
  })

  it("waits for asynchronous progress handlers", () =>
    withLedger(async (sessions) => {
      const messages: Array<string | undefined> = []
      const onProgress = async ({ message }: { readonly message?: string | undefined }) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        messages.push(message)
      }
      await sessions.callTool("good", "steps", {}, { onProgress, timeout: "10 seconds", retry: { times: 0, delay: 0 } })
      assert.deepStrictEqual(messages, ["step 1", "step 2", "step 3"])
    }))

  it("writes what fails in the background to stderr, as stdout belongs to the program", async () => {
    const lines: Array<readonly [stream: "stdout" | "stderr", text: string]> = []
    const log = (stream: "stdout" | "stderr") => (...words: ReadonlyArray<unknown>) =>
      void lines.push([stream, words.join(" ")])
    const layer = Layer.succeed(Console.Console, { ...console, log: log("stdout"), error: log("stderr") })
    const sessions = McpSessions.open({
      servers: {
        good: { transport: "stdio", command: process.execPath, args: [fixture("stdioServer.ts"), "v2", "/dev/null"] }
      },
      telemetry: { layer }
    })
    const onProgress = () => {
      throw new Error("not shown")
    }
    await sessions.callTool("good", "steps", {}, { onProgress })
    await sessions.close()
    assert.isAbove(lines.length, 0)
    for (const [stream, text] of lines) {
      assert.strictEqual(stream, "stderr")
      assert.include(text, "the handler of progress")
    }
  })

  it("binds the methods of a session", () =>
    withLedger(async (sessions) => {
      await using good = await sessions.get("good")
      const { callTool, ping } = good
      await ping()
      assert.strictEqual(text(await callTool("echo", { message: "hi" })), "hi")
    }))
})

describe("client handlers of the promise facade", () => {
  const asking: Memory.Serve = (peer) => {
    serveStdio(makeAsking, { transport: peer })
  }
  const open = (handlers: McpSessions.Options["handlers"], serve = asking) =>
    CoreSessions.make({
      transports: Memory.layerTransports({ s: serve }),
      servers: { s: { transport: "stdio", command: "none", args: [], protocol: "legacy" } },
      handlers
    })

  it("respond to a form as an async function that receives the owner, the server and the call", async () => {
    const origins: Array<unknown> = []
    await using sessions = open({
      elicitation: async ({ message }, { call, owner, server, signal }) => {
        origins.push({ owner, server, tool: call?.tool, aborted: signal.aborted })
        return { action: "accept", content: { name: message } }
      }
    })
    assert.include(text(await sessions.callTool("s", "ask", {}, { owner: "ada" })), "your name?")
    assert.deepStrictEqual(origins, [{ owner: "ada", server: "s", tool: "ask", aborted: false }])
  })

  it("are aborted when the call that caused the request is aborted", async () => {
    const controller = new AbortController()
    const aborted = new Promise<void>((resolve) => {
      void (async () => {
        await using sessions = open({
          elicitation: (_, { signal }) => {
            signal.addEventListener("abort", () => resolve())
            controller.abort()
            return new Promise(() => {})
          }
        })
        await rejection(sessions.callTool("s", "ask", {}, { signal: controller.signal }))
      })()
    })
    await aborted
  })

  it("send a RequestRefused to the server, and hide the details of any other error", async () => {
    const refused = new McpSessions.RequestRefused({ description: "not now", code: 42 })
    for (const [error, expected] of [[refused, "not now"], [new Error("swordfish"), "handler"]] as const) {
      await using sessions = open({ elicitation: () => Promise.reject(error) })
      const said = text(await sessions.callTool("s", "ask"))
      assert.include(said, expected)
      assert.notInclude(said, "swordfish")
    }
  })

  it("sample, list roots and receive log messages with separate handlers per owner", async () => {
    const logged: Array<unknown> = []
    let told = () => {}
    const all = new Promise<void>((resolve) => {
      told = resolve
    })
    const serve: Memory.Serve = (peer) => {
      serveStdio(() => {
        const server = new McpServer({ name: "s", version: "1" }, { capabilities: { tools: {}, logging: {} } })
        server.registerTool("everything", {}, async () => {
          const { roots } = await server.server.listRoots()
          const { content } = await server.server.createMessage({ messages: [], maxTokens: 1 })
          await server.server.sendLoggingMessage({ level: "error", data: "boom" })
          return { content: [{ type: "text", text: JSON.stringify([roots[0]?.uri, content]) }] }
        })
        return server
      }, { transport: peer })
    }
    await using sessions = open(({ owner }) => ({
      roots: () => [{ uri: `file:///${owner}` }],
      sampling: async () => ({ model: "none", role: "assistant", content: { type: "text", text: owner } }),
      logging: async ({ data }, peer) => {
        logged.push([data, peer])
        if (logged.length === 2) told()
      }
    }), serve)
    for (const owner of ["ada", "bob"]) {
      const said = JSON.parse(text(await sessions.callTool("s", "everything", {}, { owner })))
      assert.deepStrictEqual(said, [`file:///${owner}`, { type: "text", text: owner }])
    }
    await all
    assert.deepStrictEqual(logged, [
      ["boom", { owner: "ada", server: "s" }],
      ["boom", { owner: "bob", server: "s" }]
    ])
  })
})

describe("a program in plain TypeScript", () => {
  it("opens servers, reads a file, distinguishes errors and closes all sessions", async () => {
    const { signal } = new AbortController()
    const ask = (message: string) => Promise.resolve(`an answer to ${message}`)
    let said = ""
    const sessions = McpSessions.open({
      servers: {
        github: { transport: "streamable_http", url: "https://example.com/mcp" },
        files: { transport: "stdio", command: "mcp-server-filesystem", args: ["."] }
      },
      handlers: { elicitation: async ({ message }) => ({ action: "accept", content: { name: await ask(message) } }) },
      retry: { times: 3, delay: 1000 }
    })
    try {
      const result = await sessions.callTool("files", "read_text_file", { path: "README.md" }, {
        signal,
        onProgress: console.log
      })
      said = text(result)
    } catch (error) {
      if (isSessionError(error) && error.reason._tag === "OutcomeUnknown") said = "it may have run"
      else if (isConfigError(error)) said = "the configuration is wrong"
      else throw error
    } finally {
      await sessions.close()
    }
    assert.include(said, "# mcp-sessions")
  })
})
