/**
 * The facade for plain TypeScript. Nothing of Effect in the tests, as there is nothing of it in the programs.
 */
import { McpSessions, type ServerConfig } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect } from "effect"
import { assert, describe, expectTypeOf, it } from "vitest"
import { toolNames } from "./fixtures/behaviour.ts"
import { fixture, isAlive, makeLedger, until } from "./fixtures/peer.ts"

const withLedger = (
  use: (sessions: McpSessions.McpSessions, read: (word: string) => ReadonlyArray<string>) => Promise<void>,
  more: Readonly<Record<string, ServerConfig.ServerConfigInput>> = {}
) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(makeLedger, ({ file, read }) =>
    Effect.promise(async () => {
      {
        await using sessions = McpSessions.make({
          transports: Transports.layer,
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

describe("McpSessions", () => {
  it("calls, lists and leaves nothing", () =>
    withLedger(async (sessions, read) => {
      const result = await sessions.callTool("good", "echo", { message: "hi" })
      assert.deepStrictEqual(result.content, [{ type: "text", text: "hi" }])
      await using good = await sessions.get("good")
      assert.strictEqual((await good.listTools()).length, toolNames.length)
      assert.strictEqual((await good.info()).era, "modern")
      await good.ping()
      assert.isTrue((await sessions.health("good")).isHealthy)
      assert.deepStrictEqual(await sessions.circuit("good"), { state: "closed" })
      assert.strictEqual(read("process").length, 1)
      await sessions.restart("good")
      await good.ping()
      assert.strictEqual(await good.generation(), 2)
    }))

  it("iterates over what the server says, until the loop is left or the signal aborted", () =>
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
      assert.strictEqual(await rejection(loop), reason)
      const aborted = (async () => {
        for await (const _ of good.notifications({ signal: AbortSignal.abort(reason) })) assert.fail("was told of")
      })()
      assert.strictEqual(await rejection(aborted), reason)
      assert.strictEqual(read("process").length, 1)
    }))

  it("tells a plain function how far a call has come", () =>
    withLedger(async (sessions) => {
      const messages: Array<string | undefined> = []
      const onProgress = ({ message }: { readonly message?: string | undefined }) => void messages.push(message)
      await sessions.callTool("good", "steps", {}, { onProgress })
      assert.deepStrictEqual(messages, ["step 1", "step 2", "step 3"])
    }))

  it("rejects with the typed errors themselves", () =>
    withLedger(async (sessions) => {
      const spawn = await rejection(sessions.get("absent"))
      assert.deepInclude(spawn, { _tag: "SessionError", server: "absent" })
      assert.isTrue(spawn instanceof Error)
      assert.deepInclude((spawn as { readonly reason: object }).reason, { _tag: "SpawnFailed", code: "ENOENT" })
      assert.deepInclude(await rejection(sessions.callTool("nobody", "x")), { _tag: "ConfigError" })
    }))

  it("rejects a bad configuration at the first use, before anything is started", () =>
    withLedger(async (sessions, read) => {
      assert.deepInclude(await rejection(sessions.get("good")), { _tag: "ConfigError" })
      assert.deepStrictEqual(read("process"), [])
    }, { bad: { transport: "stdio", command: "", args: [] } }))

  it("cancels on the server what a signal aborts, and rejects with the signal's reason", () =>
    withLedger(async (sessions, read) => {
      await using good = await sessions.get("good")
      const reason = new Error("enough")
      const controller = new AbortController()
      const call = rejection(good.callTool("hang", { id: "1" }, { signal: controller.signal }))
      await Effect.runPromise(until(() => read("hang"), (started) => started.length === 1))
      controller.abort(reason)
      assert.strictEqual(await call, reason)
      await Effect.runPromise(until(() => read("cancelled"), (cancelled) => cancelled.length === 1))
      const aborted = rejection(good.callTool("count", { id: "never" }, { signal: AbortSignal.abort(reason) }))
      assert.strictEqual(await aborted, reason)
      assert.deepStrictEqual(read("count"), [])
    }))

  it("has no call interrupted without a word when everything ends", async () => {
    const calls: Array<Promise<object>> = []
    await withLedger(async (sessions, read) => {
      const good = await sessions.get("good")
      calls.push(rejection(good.callTool("hang", { id: "1" })))
      await Effect.runPromise(until(() => read("hang"), (started) => started.length === 1))
    })
    assert.deepInclude(await calls[0], { _tag: "SessionError" })
  })

  it("gives an uninitialized session that is initialized once", () =>
    withLedger(async (sessions) => {
      await using good = await sessions.get("good", { initialize: false })
      assert.deepInclude(await rejection(good.callTool("echo")), { _tag: "SessionError" })
      assert.strictEqual((await good.initialize()).server, "good")
      const again = await rejection(good.initialize())
      assert.strictEqual((again as { readonly reason: { readonly _tag: string } }).reason._tag, "AlreadyInitialized")
    }))

  it("rejects typed whatever comes after its end", async () => {
    const sessions = McpSessions.make({ transports: Transports.layer, servers: {} })
    await sessions[Symbol.asyncDispose]()
    await sessions[Symbol.asyncDispose]()
    const error = await rejection(sessions.callTool("x", "y"))
    assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "SessionClosed")
  })

  it("has no Effect in its types", () => {
    expectTypeOf<McpSessions.McpSessions["callTool"]>().returns.resolves.toHaveProperty("content")
    expectTypeOf<McpSessions.McpSession>().toExtend<AsyncDisposable>()
    expectTypeOf<McpSessions.SignalOptions["signal"]>().toEqualTypeOf<McpSessions.Signal | undefined>()
    expectTypeOf<AbortSignal>().toExtend<McpSessions.Signal>()
  })

  it("iterates over nothing after its end, but rejects typed", async () => {
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

  it("falls back to another server, with an operation in promises", () =>
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
      assert.strictEqual(await rejection(aborted), reason)
    }))

  it("lends sessions from a pool, which ends with everything if nobody disposes of it", () =>
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
            pids.add((await session.info()).pid)
            if (pids.size === 2) resolve()
            // Neither gives its session back before the other has one.
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
    await using sessions = McpSessions.make({
      transports: Transports.layer,
      servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } },
      credentials: ({ owner }) =>
        owner === "nobody" ? Promise.reject(new Error("no token")) : Promise.resolve({ env: { TOKEN: `of ${owner}` } })
    })
    const { content } = await sessions.callTool("everything", "get-env", {}, { owner: "me" })
    assert.include(JSON.stringify(content), "of me")
    const error = await rejection(sessions.callTool("everything", "get-env", {}, { owner: "nobody" }))
    assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "CredentialsFailed")
  })
})
