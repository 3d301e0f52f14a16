/**
 * Tokens in a store that processes share, and in one that fails. The ledgers are kept by the authorization server and by the MCP server.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type SessionError } from "@mcp-sessions/core"
import { Consent, TokenStore } from "@mcp-sessions/transports"
import { Context, Effect, Fiber, Layer } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface, type Interface } from "node:readline"
import { openSessions } from "../../fixtures/authorized.ts"
import * as Auth from "../../fixtures/authServer.ts"
import * as Guarded from "../../fixtures/guardedHttp.ts"
import { fixture, until } from "../../fixtures/peer.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tokens-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A server, its authorization server and a directory of tokens. */
const setting = Effect.gen(function*() {
  const auth = yield* Auth.start
  const http = yield* Guarded.start(auth)
  const directory = join(yield* temporary, "tokens")
  return { auth, http, directory, store: TokenStore.layerFile({ directory }) }
})

const reasonOf = <A>(effect: Effect.Effect<A, SessionError.SessionError | { readonly _tag: "ConfigError" }>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "SessionError" ? error.reason : assert.fail(error._tag))

/** Starts a program that shares the tokens, and waits until it is ready. */
const startProgram = (directory: string, url: string, name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const args = [fixture("authorizedProcess.ts"), directory, url, name]
      const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
      return { child, lines: createInterface(child.stdout) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  ).pipe(Effect.tap((program) => Effect.map(printed(program), (line) => assert.strictEqual(line, "ready"))))

/** The next line that a program prints. */
const printed = ({ lines }: { readonly lines: Interface }) =>
  Effect.promise(async () => {
    const [line] = await once(lines, "line")
    return String(line)
  })

describe("tokens that two processes share", () => {
  it.live("are refreshed once for 100 calls on two sessions of each, and no call runs twice", () =>
    Effect.gen(function*() {
      const { auth, directory, http, store } = yield* setting
      yield* Effect.scoped(Effect.flatMap(openSessions({ url: http.url, store }), ({ signIn }) => signIn("s")))
      const programs = yield* Effect.all(
        [startProgram(directory, http.url, "a"), startProgram(directory, http.url, "b")],
        { concurrency: "unbounded" }
      )
      auth.expireAll()
      const answers = yield* Effect.forEach(programs, (program) => {
        program.child.stdin.write("go\n")
        return printed(program)
      }, { concurrency: "unbounded" })
      assert.deepStrictEqual(answers, ["answered 50", "answered 50"])
      assert.strictEqual(auth.state.refreshes.length, 1)
      assert.strictEqual(auth.state.authorizations.length, 1)
      assert.strictEqual(http.ran.length, 102)
      assert.strictEqual(new Set(http.ran).size, 102)
    }).pipe(Effect.scoped))

  it.live("are refreshed by one process after the other one was killed in the middle of it", () =>
    Effect.gen(function*() {
      const { auth, directory, http, store } = yield* setting
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "first")
      const program = yield* startProgram(directory, http.url, "a")
      auth.expireAll()
      auth.state.tokenFault = "hang"
      program.child.stdin.write("go\n")
      yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes === 1)
      // The other process holds the lock now.
      const reads = auth.state.metadataReads.length
      const call = yield* Effect.forkChild(sessions.callTool("s", "second"))
      yield* until(() => auth.state.metadataReads.length, (now) => now > reads)
      auth.state.tokenFault = undefined
      program.child.kill("SIGKILL")
      yield* Fiber.join(call)
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [2, 1])
      assert.deepStrictEqual(http.ran, ["first", "a-ready", "second"])
    }).pipe(Effect.scoped))
})

describe("an authorization server that is down during a refresh", () => {
  it.live("delays the calls, which are answered once it is back, and asks for no sign-in", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      const retry = RetryPolicy.spaced({ retries: 3, delay: "100 millis" })
      const sessions = yield* openSessions({ url: http.url, retry })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      auth.state.tokenFault = 503
      const calls = Array.from({ length: 5 }, (_, index) => sessions.callTool("s", `t${index}`))
      const all = yield* Effect.forkChild(Effect.all(calls, { concurrency: "unbounded" }))
      // More than one renewal tries.
      yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes > 3)
      auth.state.tokenFault = undefined
      yield* Fiber.join(all)
      assert.strictEqual(auth.state.authorizations.length, 1)
      assert.strictEqual(http.ran.length, 6)
      assert.strictEqual(new Set(http.ran).size, 6)
    }).pipe(Effect.scoped))

  it.live("is asked again after the pause that it asks for, if that is short", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      const sessions = yield* openSessions({ url: http.url })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      Object.assign(auth.state, { tokenFault: 429, tokenRetryAfter: "1" })
      const before = performance.now()
      const call = yield* Effect.forkChild(sessions.callTool("s", "after"))
      yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes > 0)
      auth.state.tokenFault = undefined
      yield* Fiber.join(call)
      assert.isAtLeast(performance.now() - before, 900)
      assert.strictEqual(auth.state.refreshes.length, 2)
      assert.deepStrictEqual(http.ran, ["before", "after"])
    }).pipe(Effect.scoped))

  it.live("is not asked again before the end of a long pause that it asks for", () =>
    Effect.gen(function*() {
      for (const retryAfter of ["30", "Thu, 31 Dec 2099 23:59:59 GMT"]) {
        const { auth, http } = yield* setting
        const sessions = yield* openSessions({ url: http.url })
        yield* sessions.callTool("s", "before")
        auth.expireAll()
        Object.assign(auth.state, { tokenFault: 503, tokenRetryAfter: retryAfter })
        for (let call = 0; call < 3; call++) {
          assert.deepInclude(yield* reasonOf(sessions.callTool("s", "during")), {
            _tag: "AuthorizationFailed",
            isRetryable: true,
            delivery: "Rejected"
          })
        }
        assert.strictEqual(auth.state.refreshes.length, 1)
        assert.deepInclude(yield* sessions.signInState("s"), { _tag: "SignedIn" })
      }
    }).pipe(Effect.scoped))

  it.live("loses no token to the page of a proxy in its place", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      const sessions = yield* openSessions({ url: http.url })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      auth.state.tokenFault = "page"
      assert.deepInclude(yield* reasonOf(sessions.callTool("s", "during")), {
        _tag: "AuthorizationFailed",
        isRetryable: true,
        delivery: "Rejected"
      })
      auth.state.tokenFault = undefined
      yield* sessions.callTool("s", "after")
      assert.strictEqual(auth.state.authorizations.length, 1)
    }).pipe(Effect.scoped))

  it.live("does not keep the sessions from closing", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      yield* Effect.scoped(Effect.gen(function*() {
        const sessions = yield* openSessions({ url: http.url })
        yield* sessions.callTool("s", "before")
        auth.expireAll()
        auth.state.tokenFault = "hang"
        yield* Effect.forkChild(sessions.callTool("s", "during"))
        yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes === 1)
      }))
      assert.deepStrictEqual(http.ran, ["before"])
    }).pipe(Effect.scoped))
})

describe("a store of tokens that fails", () => {
  it.live("fails the renewal before the refresh token is spent, and loses nothing", () =>
    Effect.gen(function*() {
      const { auth, directory, http, store } = yield* setting
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      renameSync(directory, `${directory}-away`)
      writeFileSync(directory, "not a directory")
      for (let call = 0; call < 2; call++) {
        assert.deepInclude(yield* reasonOf(sessions.callTool("s", "during")), {
          _tag: "AuthorizationFailed",
          delivery: "Rejected"
        })
      }
      assert.strictEqual(auth.state.refreshes.length, 0)
      rmSync(directory)
      renameSync(`${directory}-away`, directory)
      yield* sessions.callTool("s", "after")
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [1, 1])
    }).pipe(Effect.scoped))

  /** A store whose writes can be made to fail from the n-th on. */
  const faulty = Effect.map(Layer.build(TokenStore.layerMemory), (context) => {
    const inner = Context.get(context, TokenStore.TokenStore)
    const fault = { after: Number.POSITIVE_INFINITY }
    const put: typeof inner.put = (options) =>
      fault.after-- > 0 ? inner.put(options) : Effect.fail(
        new TokenStore.TokenStoreFailed({ operation: "put", reason: "Unwritable", description: "the disk is full" })
      )
    return { fault, store: Layer.succeed(TokenStore.TokenStore, { ...inner, put }) }
  })

  it.live("is found out before the refresh token is spent, if it can be read but not written", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      const { fault, store } = yield* faulty
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      fault.after = 0
      const reason = yield* reasonOf(sessions.callTool("s", "during"))
      assert.deepInclude(reason, { _tag: "AuthorizationFailed", isRetryable: true })
      assert.strictEqual(auth.state.refreshes.length, 0)
      fault.after = Number.POSITIVE_INFINITY
      yield* sessions.callTool("s", "after")
      assert.strictEqual(auth.state.authorizations.length, 1)
    }).pipe(Effect.scoped))

  it.live("does not cost the tokens that it fails to save: they are used, and saved by the next renewal", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* setting
      const { fault, store } = yield* faulty
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "first")
      auth.expireAll()
      // One write shows that the store works; the one after the response fails.
      fault.after = 1
      yield* sessions.callTool("s", "second")
      fault.after = Number.POSITIVE_INFINITY
      auth.expireAll()
      yield* sessions.callTool("s", "third")
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [2, 1])
      const later = yield* openSessions({ url: http.url, store, consent: Consent.layerHeadless })
      yield* later.callTool("s", "fourth")
      assert.deepStrictEqual(http.ran, ["first", "second", "third", "fourth"])
      assert.strictEqual(auth.state.refreshes.length, 2)
    }).pipe(Effect.scoped))

  it.live("does not ask for a sign-in while a process has the tokens whose file is broken, and is repaired", () =>
    Effect.gen(function*() {
      const { auth, directory, http, store } = yield* setting
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      const files = readdirSync(directory).filter((name) => name.endsWith(".json"))
      for (const name of files) writeFileSync(join(directory, name), "{ broken")
      yield* sessions.callTool("s", "after")
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [1, 1])
    }).pipe(Effect.scoped))

  it.live("does not keep a user from signing in if its files are broken", () =>
    Effect.gen(function*() {
      const { auth, directory, http, store } = yield* setting
      yield* Effect.scoped(Effect.flatMap(openSessions({ url: http.url, store }), ({ signIn }) => signIn("s")))
      const files = readdirSync(directory).filter((name) => name.endsWith(".json"))
      for (const name of files) writeFileSync(join(directory, name), "{ broken")
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "after")
      assert.strictEqual(auth.state.authorizations.length, 2)
      const later = yield* openSessions({ url: http.url, store, consent: Consent.layerHeadless })
      yield* later.callTool("s", "later")
      assert.strictEqual(auth.state.authorizations.length, 2)
    }).pipe(Effect.scoped))
})
