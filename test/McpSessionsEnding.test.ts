/**
 * The promise facade at its ends: calls that are closed, aborted or misused. A promise rejects with what became of its requests.
 */
import { McpSessions, type SessionError } from "@mcp-sessions/core"
import { assert, describe, it } from "vitest"
import * as RawServer from "./fixtures/rawServer.ts"

type Options = Omit<Parameters<typeof McpSessions.make>[0], "servers" | "transports">

const open = (servers: Readonly<Record<string, RawServer.RawServer>>, options: Options = {}, config: object = {}) =>
  McpSessions.make({
    servers: Object.fromEntries(Object.keys(servers).map((name) => [name, { ...RawServer.definition, ...config }])),
    transports: RawServer.transports(servers),
    retry: { times: 0, delay: 0 },
    ...options
  })

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("should have been rejected"), (error: unknown) => error)

/** The tag of the reason and the delivery of the error that a promise rejects with; the tag alone of another typed error. */
const ending = async (promise: Promise<unknown>): Promise<string> => {
  const error = await rejection(promise) as SessionError.SessionError
  return McpSessions.isSessionError(error) ? `${error.reason._tag} ${error.delivery}` : String((error as Error)._tag)
}

interface Error {
  readonly _tag?: string
}

/** A server whose next requests stay unanswered; `arrived` waits for a number of them. */
const silent = (server: RawServer.RawServer) => {
  const state = { arrivals: 0, wake: () => {} }
  server.onRequest = () => {
    state.arrivals++
    state.wake()
  }
  const arrived = async (count: number): Promise<void> => {
    if (state.arrivals >= count) return
    await new Promise<void>((resolve) => {
      state.wake = resolve
    })
    return arrived(count)
  }
  return { arrived }
}

describe("closing the promise facade", () => {
  const tool = (sessions: McpSessions.McpSessions, options?: object) => sessions.callTool("s", "t", {}, options)
  const cases: Readonly<
    Record<string, (sessions: McpSessions.McpSessions, session: McpSessions.McpSession) => Promise<unknown>>
  > = {
    "a direct call": (sessions) => tool(sessions),
    "a call with a signal": (sessions) => tool(sessions, { signal: new AbortController().signal }),
    "a call with progress": (sessions) => tool(sessions, { onProgress: () => {} }),
    "a call on a session": (_, session) => session.callTool("t"),
    "a call on a session with a signal": (_, session) =>
      session.callTool("t", {}, { signal: new AbortController().signal }),
    "a call of a fallback": (sessions) => sessions.withFallback({ servers: ["s"] }, (session) => session.callTool("t"))
  }

  for (const [what, call] of Object.entries(cases)) {
    it(`rejects ${what} that was written with OutcomeUnknown`, async () => {
      const server = RawServer.make()
      const sessions = open({ s: server })
      const session = await sessions.get("s")
      const { arrived } = silent(server)
      const ended = ending(call(sessions, session))
      await arrived(1)
      await sessions.close()
      assert.strictEqual(await ended, "OutcomeUnknown Unknown")
    })
  }

  it("rejects a read that was written as one that may have run", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server })
    const session = await sessions.get("s")
    const { arrived } = silent(server)
    const ended = ending(session.readResource("a:b"))
    await arrived(1)
    await sessions.close()
    assert.strictEqual(await ended, "TransportClosed Unknown")
  })

  it("rejects both the lease of a pool and the call on its session with OutcomeUnknown", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server })
    const pool = await sessions.pool({ server: "s" })
    const { arrived } = silent(server)
    const inner: Array<Promise<string>> = []
    const outer = ending(pool.use((session) => {
      const call = session.callTool("t")
      inner.push(ending(call))
      return call
    }))
    await arrived(1)
    await sessions.close()
    assert.deepStrictEqual([await outer, ...await Promise.all(inner)], Array(2).fill("OutcomeUnknown Unknown"))
  })

  it("rejects a call that was written and waits for its next attempt as one that may have run", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server }, { retry: { times: 3, delay: "1 hour" } })
    await sessions.callTool("s", "warm")
    silent(server)
    const ended = ending(sessions.callTool("s", "t", {}, { idempotent: true, timeout: 1 }))
    // The timeout of the first attempt has passed once the server is told.
    while (!server.methods.includes("notifications/cancelled")) await new Promise((resolve) => setImmediate(resolve))
    await sessions.close()
    assert.strictEqual(await ended, "OutcomeUnknown Unknown")
  })

  it("rejects a call that still waits for a permit with SessionClosed, and does not send it", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server }, {}, { maxInFlight: 1 })
    await sessions.callTool("s", "warm")
    const { arrived } = silent(server)
    const first = ending(sessions.callTool("s", "first"))
    const second = ending(sessions.callTool("s", "second"))
    await arrived(1)
    await sessions.close()
    assert.deepStrictEqual([await first, await second], ["OutcomeUnknown Unknown", "SessionClosed NotSent"])
    assert.deepStrictEqual(server.calls, ["warm", "first"])
  })
})

describe("a session that is lent to an operation", () => {
  it("cancels its calls on the server when the operation is aborted", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server })
    await sessions.callTool("s", "warm")
    const { arrived } = silent(server)
    const controller = new AbortController()
    const inner: Array<Promise<string>> = []
    const outer = ending(sessions.withFallback({ servers: ["s"], signal: controller.signal }, (session) => {
      const calls = [session.callTool("t"), session.readResource("a:b")] as const
      inner.push(...calls.map(ending))
      return calls[0]
    }))
    await arrived(2)
    controller.abort()
    assert.strictEqual(await outer, "Cancelled Unknown")
    assert.deepStrictEqual(await Promise.all(inner), ["OutcomeUnknown Unknown", "TransportClosed Unknown"])
    assert.strictEqual(server.methods.filter((method) => method === "notifications/cancelled").length, 2)
    assert.strictEqual((await sessions.status("s")).inFlight, 0)
    await sessions.close()
  })

  it("cancels the calls of an attempt that lost a hedge", async () => {
    const [slow, fast] = [RawServer.make(), RawServer.make()]
    const sessions = open({ slow, fast })
    await Promise.all([sessions.callTool("slow", "warm"), sessions.callTool("fast", "warm")])
    silent(slow)
    const result = await sessions.withFallback(
      { servers: ["slow", "fast"], hedgeAfter: 1 },
      (session) => session.readResource("a:b")
    )
    assert.deepStrictEqual(result.contents, [])
    assert.include(slow.methods, "notifications/cancelled")
    assert.strictEqual((await sessions.status("slow")).inFlight, 0)
    await sessions.close()
  })

  it("cancels the calls that an operation leaves behind, and refuses later ones", async () => {
    const server = RawServer.make()
    const sessions = open({ s: server })
    const pool = await sessions.pool({ server: "s" })
    silent(server)
    const kept: Array<McpSessions.McpSession> = []
    const left: Array<Promise<string>> = []
    await pool.use(async (session) => {
      kept.push(session)
      left.push(ending(session.callTool("left")))
    })
    assert.deepStrictEqual(await Promise.all(left), ["OutcomeUnknown Unknown"])
    const session = kept[0] ?? assert.fail()
    assert.strictEqual(await ending(session.callTool("late")), "SessionClosed NotSent")
    assert.strictEqual(await ending(session.ping()), "SessionClosed NotSent")
    await sessions.close()
  })
})

describe("misuse of the promise facade", () => {
  it("rejects with a ConfigError, and sends nothing", async () => {
    const server = RawServer.make()
    // As a program without types sees it.
    // oxlint-disable-next-line typescript/no-explicit-any
    const sessions: any = open({ s: server })
    const session = await sessions.get("s")
    const pool = await sessions.pool({ server: "s" })
    const call = (options: unknown) => () => sessions.callTool("s", "t", {}, options)
    const misuses: ReadonlyArray<() => Promise<unknown>> = [
      call(null),
      call("text"),
      call({ signal: new AbortController() }),
      call({ signal: {} }),
      call({ signal: null }),
      call({ timeout: "30s" }),
      call({ timeout: null }),
      call({ retry: {} }),
      call({ retry: null }),
      call({ retry: { times: Number.NaN, delay: 0 } }),
      call({ retry: { times: -1, delay: 0 } }),
      call({ retry: { times: 1, delay: "1e3 seconds" } }),
      call({ onProgress: "text" }),
      call({ task: null }),
      call({ task: { onTask: 5 } }),
      call({ owner: 5 }),
      call({ idempotent: "yes" }),
      () => sessions.callTool(),
      () => session.callTool("t", {}, null),
      () => session.callTool("t", {}, { timeout: "30s" }),
      () => session.listTools(null),
      () => session.listTools({ refresh: "yes" }),
      () => session.ping({ signal: new AbortController() }),
      () => session.notifications({ signal: {} })[Symbol.asyncIterator]().next(),
      () => sessions.get(),
      () => sessions.get("s", null),
      () => sessions.open("s", null),
      () => sessions.open("s", { handshake: "later" }),
      () => sessions.withFallback(),
      () => sessions.withFallback({}, async () => 1),
      () => sessions.withFallback({ servers: [] }, async () => 1),
      () => sessions.withFallback({ servers: ["s"] }),
      () => sessions.withFallback({ servers: ["s"], hedgeAfter: "1e3 seconds" }, async () => 1),
      () => sessions.pool(),
      () => sessions.pool(null),
      () => sessions.pool({}),
      () => sessions.pool({ server: "s", max: "many" }),
      () => pool.use(),
      () => pool.use(async () => 1, null),
      () => pool.callTool("t", {}, null),
      () => sessions.status(),
      () => sessions.restart()
    ]
    for (const misuse of misuses) assert.strictEqual(await ending(misuse()), "ConfigError", String(misuse))
    assert.deepStrictEqual(server.calls, [])
    await sessions.callTool("s", "t")
    await sessions.close()
  })

  const fail = () => {
    throw new TypeError("a bug")
  }
  const layers: Readonly<Record<string, readonly [options: object, tag: string]>> = {
    "credentials that are undefined": [{ credentials: () => undefined }, "CredentialsFailed NotSent"],
    "credentials that are null": [{ credentials: async () => null }, "CredentialsFailed NotSent"],
    "credentials that are no text": [{ credentials: () => ({ env: { A: 5 } }) }, "CredentialsFailed NotSent"],
    "credentials whose getter throws": [{
      credentials: () => ({
        get env() {
          return fail()
        }
      })
    }, "CredentialsFailed NotSent"],
    "a provider of credentials that throws": [{ credentials: fail }, "CredentialsFailed NotSent"],
    "a provider of credentials that is no function": [{ credentials: 5 }, "ConfigError"],
    "a function of handlers that throws": [{ handlers: fail }, "ConfigError"],
    "a function of handlers that returns nothing": [{ handlers: () => undefined }, "ConfigError"],
    "handlers that are null": [{ handlers: null }, "ConfigError"],
    "a predicate of commands that throws": [{ allowCommand: fail }, "ConfigError"],
    "a predicate of commands that returns nothing": [{ allowCommand: () => undefined }, "ConfigError"],
    "a retry policy without numbers": [{ retry: {} }, "ConfigError"],
    "a reconnect policy with an unreadable delay": [{ reconnect: { times: 1, delay: "1e3 seconds" } }, "ConfigError"]
  }
  for (const [what, [options, tag]] of Object.entries(layers)) {
    it(`rejects every call with a typed error under ${what}`, async () => {
      const sessions = open({ s: RawServer.make() }, options)
      assert.strictEqual(await ending(sessions.callTool("s", "t")), tag)
      assert.strictEqual(await ending(sessions.callTool("s", "t")), tag)
      await sessions.close()
    })
  }
})
