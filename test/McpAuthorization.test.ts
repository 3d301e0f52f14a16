/**
 * Sign-ins in promises, with real servers and an authorization server that keeps a ledger.
 */
import { assert, describe, it } from "@effect/vitest"
import { McpAuthorization, McpSessions } from "@mcp-sessions/transports"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, writeFileSync } from "node:fs"
import { get } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { visit } from "./fixtures/agree.ts"
import * as Auth from "./fixtures/authServer.ts"
import * as Guarded from "./fixtures/guardedHttp.ts"

interface Setting {
  readonly auth: Auth.AuthServer
  readonly http: Guarded.Guarded
}

/** Runs a test with an MCP server that asks for tokens. */
const withServer = async (f: (setting: Setting) => Promise<void>) => {
  const scope = Scope.makeUnsafe()
  const http = await Effect.runPromise(Scope.provide(Effect.flatMap(Auth.start, Guarded.start), scope))
  await f({ auth: http.auth, http }).finally(() => Effect.runPromise(Scope.close(scope, Exit.void)))
}

const open = (
  { http }: Setting,
  options: McpAuthorization.Options | undefined,
  auth?: Record<string, unknown>
): McpSessions.McpSessions =>
  McpSessions.open({
    servers: { s: { url: http.url, protocol: "legacy", healthInterval: 0, ...(auth === undefined ? {} : { auth }) } },
    authorization: McpAuthorization.make(options),
    retry: { times: 0, delay: 0 }
  })

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const reasonOf = async (promise: Promise<unknown>) => {
  const error = await rejection(promise)
  assert(McpSessions.isSessionError(error))
  return error.reason
}

const redirectUrl = "https://agent.example/callback"

const agree: McpAuthorization.AskToSignIn = async ({ url }) => (await visit(new URL(url))).href

describe("an authorization in promises", () => {
  it("signs a program in by client credentials, and asks nobody", () =>
    withServer(async (setting) => {
      setting.auth.state.metadata = { token_endpoint_auth_methods_supported: ["client_secret_basic"] }
      await using sessions = open(setting, undefined, {
        grant: "client_credentials",
        clientId: "robot",
        clientSecret: "robot-secret"
      })
      await Promise.all([sessions.callTool("s", "t"), sessions.callTool("s", "t")])
      assert.deepStrictEqual(setting.http.ran, ["t", "t"])
      assert.strictEqual(setting.auth.state.exchanges.length, 1)
    }))

  it("signs a user in through a URL of the program, once for all calls", () =>
    withServer(async (setting) => {
      const pages: Array<McpAuthorization.SignInPage> = []
      await using sessions = open(setting, {
        redirectUrl,
        clientName: "agent",
        signIn: (page) => {
          pages.push(page)
          return agree(page)
        }
      })
      await Promise.all(Array.from({ length: 10 }, () => sessions.callTool("s", "t", {}, { owner: "ada" })))
      assert.strictEqual(setting.http.ran.length, 10)
      assert.deepStrictEqual(pages.map(({ owner, redirectUrl, server }) => [server, owner, redirectUrl]), [
        ["s", "ada", redirectUrl]
      ])
      assert.deepInclude(setting.auth.state.registrations[0], { client_name: "agent", redirect_uris: [redirectUrl] })
      assert.strictEqual((await sessions.signInState("s", { owner: "ada" }))._tag, "SignedIn")
      await sessions.signOut("s", { owner: "ada" })
      assert.strictEqual((await sessions.signInState("s", { owner: "ada" }))._tag, "SignedOut")
    }))

  it("receives the answer at a port of this machine, where the program only shows the page", () =>
    withServer(async (setting) => {
      await using sessions = open(setting, {
        signIn: ({ redirectUrl, url }) => {
          assert.match(redirectUrl, /^http:\/\/127\.0\.0\.1:/)
          void visit(new URL(url)).then((answer) => get(answer, (response) => response.resume()))
        }
      })
      await sessions.signIn("s")
      await sessions.callTool("s", "t")
      assert.deepStrictEqual(setting.http.ran, ["t"])
    }))

  it("fails with the page where the user signs in later, and where nobody is asked", () =>
    withServer(async (setting) => {
      for (const options of [{ redirectUrl, signIn: () => {} }, undefined]) {
        await using sessions = open(setting, options)
        const reason = await reasonOf(sessions.callTool("s", "t"))
        assert(reason._tag === "AuthRequired")
        assert.isTrue(reason.url?.startsWith(`${setting.auth.issuer}/authorize?`))
      }
      assert.deepStrictEqual(setting.http.ran, [])
    }))

  it("fails typed where the program throws, or returns no answer of the authorization server", () =>
    withServer(async (setting) => {
      const secret = "code-s3cret"
      for (
        const signIn of [
          () => {
            throw new Error(secret)
          },
          () => Promise.reject(new Error(secret)),
          () => 5,
          () => `https://other.example/callback?code=${secret}&state=s`,
          () => `${redirectUrl}?code=${secret}`
        ]
      ) {
        await using sessions = open(setting, { redirectUrl, signIn })
        const reason = await reasonOf(sessions.callTool("s", "t"))
        assert.strictEqual(reason._tag, "AuthRequired")
        assert.notInclude(JSON.stringify(reason) + reason.message, secret)
      }
      assert.deepStrictEqual([setting.http.ran, setting.auth.state.exchanges], [[], []])
    }))

  it("aborts the signal of the page when nobody waits for the sign-in any more", () =>
    withServer(async (setting) => {
      let asked: (signal: AbortSignal) => void = () => {}
      const page = new Promise<AbortSignal>((resolve) => {
        asked = resolve
      })
      const sessions = open(setting, {
        redirectUrl,
        signIn: ({ signal }) => {
          asked(signal)
          return new Promise(() => {})
        }
      })
      const controller = new AbortController()
      const signIn = rejection(sessions.signIn("s", { signal: controller.signal }))
      const signal = await page
      controller.abort()
      const error = await signIn
      assert(McpSessions.isSessionError(error))
      assert.strictEqual(error.reason._tag, "Cancelled")
      assert.isTrue(signal.aborted)
      await sessions.close()
    }))

  it("keeps tokens in a store of the program, or in a directory, for the next program", () =>
    withServer(async (setting) => {
      const directory = join(mkdtempSync(join(tmpdir(), "tokens-")), "tokens")
      const map = new Map<string, string>()
      const asynchronous: McpAuthorization.PlainStore = {
        get: async (key) => map.get(`async ${key}`) ?? null,
        set: async (key, text) => void map.set(`async ${key}`, text),
        delete: async (key) => map.delete(`async ${key}`)
      }
      for (const tokens of [map, asynchronous, { directory }]) {
        const before = setting.auth.state.authorizations.length
        for (let program = 0; program < 2; program++) {
          await using sessions = open(setting, { redirectUrl, signIn: agree, tokens })
          await sessions.callTool("s", "t")
        }
        assert.strictEqual(setting.auth.state.authorizations.length, before + 1)
      }
    }))

  it("keeps its calls typed where the store of the program fails, and quotes nothing of it", () =>
    withServer(async (setting) => {
      const secret = "s3cret-of-the-store"
      const fail = () => Promise.reject(new Error(secret))
      const file = join(mkdtempSync(join(tmpdir(), "file-")), "file")
      writeFileSync(file, "")
      for (
        const tokens of [
          { directory: file },
          { get: fail, set: () => {}, delete: () => {} },
          { get: () => undefined, set: fail, delete: () => {} },
          { get: () => 5 as never, set: () => {}, delete: () => {} }
        ]
      ) {
        await using sessions = open(setting, { redirectUrl, signIn: agree, tokens })
        const error = await rejection(sessions.callTool("s", "t"))
        assert(McpSessions.isSessionError(error))
        assert.include(["AuthorizationFailed", "AuthRequired"], error.reason._tag)
        assert.notInclude(error.message, secret)
      }
    }))

  it("makes assertions by an async function", () =>
    withServer(async (setting) => {
      const { exchanges } = setting.auth.state
      const definition = { grant: "jwt_bearer", clientId: "robot" }
      const assertion: McpAuthorization.Options["assertion"] = async ({ issuer, owner, server }) =>
        `${server} ${owner} ${issuer}`
      await using sessions = open(setting, { assertion }, definition)
      // The authorization server of the test takes no assertions.
      await rejection(sessions.callTool("s", "t", {}, { owner: "ada" }))
      assert.strictEqual(exchanges[0]?.get("assertion"), `s ada ${setting.auth.issuer}`)
      const count = exchanges.length
      await using broken = open(setting, { assertion: async () => 5 as never }, definition)
      const reason = await reasonOf(broken.callTool("s", "t"))
      assert.deepInclude(reason, { _tag: "AuthorizationFailed", isRetryable: true })
      assert.strictEqual(exchanges.length, count)
    }))

  it("serves the servers of configuration files", () =>
    withServer(async (setting) => {
      const file = join(mkdtempSync(join(tmpdir(), "config-")), ".mcp.json")
      writeFileSync(file, JSON.stringify({ mcpServers: { s: { type: "http", url: setting.http.url } } }))
      await using sessions = await McpSessions.fromFile({
        files: [file],
        authorization: McpAuthorization.make({ redirectUrl, signIn: agree })
      })
      await sessions.callTool("s", "t")
      assert.deepStrictEqual(setting.http.ran, ["t"])
    }))

  it("rejects with every problem of its options", async () => {
    const problemsOf = async (authorization: unknown) => {
      await using sessions = McpSessions.open(
        { servers: { s: { url: "https://s.example/mcp" } }, authorization } as never
      )
      const error = await rejection(sessions.status("s"))
      assert(McpSessions.isConfigError(error))
      return error.problems.map(({ path }) => path.join("."))
    }
    const bad = { signIn: "page", redirectUrl: "no", tokens: 5, clientName: "", refreshAhead: "soon", assertion: 1 }
    assert.deepStrictEqual(
      await problemsOf(McpAuthorization.make(bad as never)),
      Object.keys(bad).map((key) => `authorization.${key}`)
    )
    assert.deepStrictEqual(await problemsOf(McpAuthorization.make({ signIn: "browser", redirectUrl })), [
      "authorization.signIn"
    ])
    assert.deepStrictEqual(await problemsOf(McpAuthorization.make(null as never)), ["authorization"])
    assert.deepStrictEqual(await problemsOf({ signIn: "browser" }), ["authorization"])
    assert.deepStrictEqual(await problemsOf(null), ["authorization"])
  })
})
