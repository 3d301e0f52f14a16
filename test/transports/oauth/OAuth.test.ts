/**
 * Authorization of remote servers. The ledgers are kept by the authorization server and by the MCP server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Owner, RetryPolicy, type ServerConfig, type SessionError, Sessions } from "@mcp-sessions/core"
import { Consent, OAuth, TokenStore } from "@mcp-sessions/transports"
import { Clock, Context, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { inspect } from "node:util"
import { layerAgree } from "../../fixtures/agree.ts"
import * as Auth from "../../fixtures/authServer.ts"
import * as Guarded from "../../fixtures/guardedHttp.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { until } from "../../fixtures/peer.ts"

interface Options {
  readonly auth?: ServerConfig.AuthOptions | false
  readonly consent?: Layer.Layer<Consent.Consent>
  readonly store?: Layer.Layer<TokenStore.TokenStore>
  readonly headers?: Readonly<Record<string, string>>
}

const layerOf = (url: string, { auth, consent = layerAgree(), headers, store = TokenStore.layerMemory }: Options) =>
  Sessions.layer({
    servers: {
      s: {
        transport: "streamable_http",
        url,
        protocol: "legacy",
        healthInterval: 0,
        ...(auth === undefined ? {} : { auth }),
        ...(headers === undefined ? {} : { headers })
      }
    },
    retry: RetryPolicy.never
  }).pipe(Layer.provide(OAuth.layer()), Layer.provide(Layer.merge(store, consent)))

/** The sessions of one program, its authorization server and its MCP server. */
const setting = (options: Options = {}) =>
  Effect.gen(function*() {
    const auth = yield* Auth.start
    const http = yield* Guarded.start(auth)
    const context = yield* Layer.build(layerOf(http.url, options))
    return { auth, http, sessions: Context.get(context, Sessions.Sessions) }
  })

const reasonOf = <A>(effect: Effect.Effect<A, SessionError.SessionError | { readonly _tag: "ConfigError" }>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "SessionError" ? error.reason : assert.fail(error._tag))

const times = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("a server that asks for a token", () => {
  it.live("gets one after a sign-in that is asked for once, and runs the tool once", () =>
    Effect.gen(function*() {
      const pages: Array<URL> = []
      const { auth: { issuer, state }, http, sessions } = yield* setting({ consent: layerAgree(pages) })
      yield* Effect.forEach(times(20), () => sessions.callTool("s", "t"), { concurrency: "unbounded" })
      assert.strictEqual(http.ran.length, 20)
      assert.deepStrictEqual([state.registrations.length, state.authorizations.length, state.exchanges.length], [
        1,
        1,
        1
      ])
      const [page] = pages
      assert.strictEqual(page?.searchParams.get("code_challenge_method"), "S256")
      assert.strictEqual(page?.searchParams.get("resource"), http.url)
      assert.strictEqual(state.exchanges[0]?.get("resource"), http.url)
      assert.deepInclude(yield* sessions.signInState("s"), {
        _tag: "SignedIn",
        issuer,
        isRenewable: true
      })
    }).pipe(Effect.scoped))

  it.live("is not signed in to if the definition says so, or has an Authorization header of its own", () =>
    Effect.gen(function*() {
      for (const options of [{ auth: false as const }, { headers: { authorization: "Bearer mine" } }]) {
        const { auth: { state }, sessions } = yield* setting(options)
        const reason = yield* reasonOf(sessions.callTool("s", "t"))
        assert.deepInclude(reason, { _tag: "AuthRequired", status: 401 })
        assert.deepStrictEqual([state.metadataReads.length, state.authorizations.length], [0, 0])
        assert.deepStrictEqual(yield* sessions.signInState("s"), { _tag: "NotNeeded" })
      }
    }).pipe(Effect.scoped))

  it.live("fails with the page to visit where nobody can be asked", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting({ consent: Consent.layerHeadless })
      const reason = yield* reasonOf(sessions.callTool("s", "t"))
      if (reason._tag !== "AuthRequired") return assert.fail(reason._tag)
      assert.isTrue(reason.url?.startsWith(`${auth.issuer}/authorize?`))
      assert.deepStrictEqual(http.ran, [])
      assert.strictEqual(auth.state.authorizations.length, 0)
    }).pipe(Effect.scoped))
})

describe("a token that is not accepted any more", () => {
  it.live("is refreshed once for 100 calls on two connections, and no call runs twice", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      yield* sessions.callTool("s", "first")
      const own = yield* sessions.open("s")
      auth.expireAll()
      const calls = times(100).map((index) =>
        index % 2 === 0 ? sessions.callTool("s", `t${index}`) : own.callTool(`t${index}`)
      )
      yield* Effect.all(calls, { concurrency: "unbounded" })
      assert.strictEqual(auth.state.refreshes.length, 1)
      assert.strictEqual(auth.state.authorizations.length, 1)
      assert.strictEqual(http.ran.length, 101)
      assert.strictEqual(new Set(http.ran).size, 101)
      assert.strictEqual(auth.state.refreshes[0]?.get("resource"), http.url)
      // The connections stayed: a new token is no reason to replace them.
      assert.strictEqual(yield* own.generation, 1)
      assert.strictEqual(http.count("POST initialize"), 3)
    }).pipe(Effect.scoped))

  it.live("is renewed for the request that ends the session, too", () =>
    Effect.gen(function*() {
      const { auth, http } = yield* Effect.scoped(
        Effect.gen(function*() {
          const opened = yield* Effect.provideService(setting(), Owner.CurrentOwner, "default")
          yield* opened.sessions.callTool("s", "t")
          opened.auth.expireAll()
          return opened
        }).pipe(Effect.tap(({ http }) => Effect.sync(() => assert.strictEqual(http.count("DELETE"), 0))))
      )
      assert.strictEqual(auth.state.refreshes.length, 1)
      assert.strictEqual(http.count("DELETE"), 2)
    }))

  it.live(
    "is kept while the authorization server is down, and nobody is asked to sign in",
    () =>
      Effect.gen(function*() {
        const { auth, http, sessions } = yield* setting()
        yield* sessions.callTool("s", "before")
        auth.expireAll()
        for (const fault of [503, 500, 429, "drop"] as const) {
          auth.state.tokenFault = fault
          const reason = yield* reasonOf(sessions.callTool("s", "during"))
          assert.deepInclude(reason, { _tag: "AuthorizationFailed", isRetryable: true, delivery: "Rejected" })
        }
        assert.strictEqual(auth.state.authorizations.length, 1)
        assert.deepInclude(yield* sessions.signInState("s"), { _tag: "SignedIn" })
        auth.state.tokenFault = undefined
        yield* sessions.callTool("s", "after")
        assert.strictEqual(auth.state.authorizations.length, 1)
        assert.deepStrictEqual(http.ran, ["before", "after"])
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("leads to a new sign-in once its refresh token is refused", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      yield* sessions.callTool("s", "before")
      auth.expireAll()
      auth.revokeAll()
      yield* sessions.callTool("s", "after")
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [1, 2])
      // The client is still known.
      assert.strictEqual(auth.state.registrations.length, 1)
      assert.deepStrictEqual(http.ran, ["before", "after"])
    }).pipe(Effect.scoped))

  it.live("is not presented again once its refresh token is refused", () =>
    Effect.gen(function*() {
      const store = yield* Layer.build(TokenStore.layerMemory)
      const shared = Layer.succeedContext(store)
      const auth = yield* Auth.start
      const http = yield* Guarded.start(auth)
      yield* Effect.scoped(Effect.flatMap(Layer.build(layerOf(http.url, { store: shared })), (context) =>
        Context.get(context, Sessions.Sessions).callTool("s", "before")))
      auth.expireAll()
      auth.revokeAll()
      const context = yield* Layer.build(layerOf(http.url, { store: shared, consent: Consent.layerHeadless }))
      const sessions = Context.get(context, Sessions.Sessions)
      for (let call = 0; call < 3; call++) {
        assert.strictEqual((yield* reasonOf(sessions.callTool("s", "after")))._tag, "AuthRequired")
      }
      assert.strictEqual(auth.state.refreshes.length, 1)
      assert.deepStrictEqual(yield* sessions.signInState("s"), { _tag: "SignedOut" })
    }).pipe(Effect.scoped))

  it.live("is sent once with each token where the server refuses all of them for a call", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      yield* sessions.callTool("s", "before")
      http.refusesCalls = true
      const error = yield* Effect.flip(sessions.callTool("s", "charge"))
      assert(error._tag === "SessionError")
      assert.deepStrictEqual([error.reason._tag, error.delivery], ["AuthRequired", "Rejected"])
      const tokens = http.ledger.flatMap(({ headers, what }) =>
        what === "POST tools/call charge" ? [headers.authorization] : []
      )
      // That of the first call, that of a refresh, and that of a sign-in.
      assert.deepStrictEqual([tokens.length, new Set(tokens).size], [3, 3])
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [1, 2])
      assert.deepStrictEqual(http.ran, ["before"])
    }).pipe(Effect.scoped))

  it.live("does not lead to a loop if the server refuses every token", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      http.refusesAll = true
      const reason = yield* reasonOf(sessions.callTool("s", "t"))
      assert.deepInclude(reason, { _tag: "AuthRequired", status: 401 })
      assert.isAtMost(auth.state.authorizations.length, 3)
      assert.isAtMost(http.refusals, 8)
    }).pipe(Effect.scoped))
})

describe("a token near its end", () => {
  it.live("is renewed in the background, and calls go on with it meanwhile", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      const { auth, http, sessions } = yield* Effect.provideService(setting(), Clock.Clock, clock)
      yield* sessions.callTool("s", "before")
      move(3600_000 - 30_000)
      yield* sessions.callTool("s", "near")
      yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes === 1)
      yield* sessions.callTool("s", "after")
      assert.strictEqual(http.refusals, 1)
      assert.strictEqual(auth.state.refreshes.length, 1)
    }).pipe(Effect.scoped))

  it.live("is kept if its early renewal is refused, and not asked for again", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      const { auth, http, sessions } = yield* Effect.provideService(setting(), Clock.Clock, clock)
      yield* sessions.callTool("s", "before")
      auth.state.refreshError = "invalid_grant"
      move(3600_000 - 30_000)
      yield* sessions.callTool("s", "near")
      yield* until(() => auth.state.refreshes.length, (refreshes) => refreshes === 1)
      for (let call = 0; call < 5; call++) yield* sessions.callTool("s", "after")
      assert.deepStrictEqual([auth.state.refreshes.length, auth.state.authorizations.length], [1, 1])
      assert.strictEqual(http.refusals, 1)
    }).pipe(Effect.scoped))

  it.live("is renewed before a request once it has expired", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      const { auth, http, sessions } = yield* Effect.provideService(setting(), Clock.Clock, clock)
      yield* sessions.callTool("s", "before")
      // The stream of the server's own messages is opened beside the call, with the token of then.
      yield* until(
        () => http.ledger.filter(({ headers, what }) => what === "GET" && headers.authorization !== undefined).length,
        (opened) => opened === 1
      )
      auth.expireAll()
      move(3600_000)
      yield* Effect.forEach(times(10), () => sessions.callTool("s", "after"), { concurrency: "unbounded" })
      assert.strictEqual(http.refusals, 1)
      assert.strictEqual(auth.state.refreshes.length, 1)
    }).pipe(Effect.scoped))
})

describe("a lifetime of tokens", () => {
  for (const lifetime of [null, 0, -5]) {
    it.live(`of ${lifetime} says nothing, and leads to no renewal before each request`, () =>
      Effect.gen(function*() {
        const { auth, sessions } = yield* setting()
        auth.state.lifetime = lifetime
        for (const tool of ["a", "b"]) yield* sessions.callTool("s", tool)
        assert.deepStrictEqual(auth.state.refreshes, [])
        auth.expireAll()
        yield* sessions.callTool("s", "c")
        assert.strictEqual(auth.state.refreshes.length, 1)
      }).pipe(Effect.scoped))
  }

  it.live("that ends later than dates can say is one that can be saved", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      auth.state.lifetime = 1e306
      yield* sessions.callTool("s", "a")
      auth.expireAll()
      yield* sessions.callTool("s", "b")
      assert.deepStrictEqual([http.ran, auth.state.refreshes.length, auth.state.authorizations.length], [
        ["a", "b"],
        1,
        1
      ])
    }).pipe(Effect.scoped))
})

describe("a call whose token was refused", () => {
  it.live("is not sent again if its caller has left meanwhile", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      yield* sessions.callTool("s", "first")
      auth.expireAll()
      auth.state.tokenFault = "hang"
      const left = yield* Effect.forkChild(sessions.callTool("s", "left"))
      yield* until(() => auth.state.held.length, (held) => held === 1)
      yield* Fiber.interrupt(left)
      auth.state.tokenFault = undefined
      for (const answer of auth.state.held) answer()
      yield* sessions.callTool("s", "last")
      assert.deepStrictEqual(http.ran, ["first", "last"])
      // The server has refused the request, so there is nothing to cancel.
      assert.strictEqual(http.count("POST notifications/cancelled"), 0)
    }).pipe(Effect.scoped))
})

describe("a request that needs a wider scope", () => {
  it.live("leads to a sign-in for the scopes of both, and is sent once more", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting({ auth: { scope: "read" } })
      http.neededScope = "write"
      yield* sessions.callTool("s", "t")
      assert.deepStrictEqual(auth.state.authorizations.map((params) => params.get("scope")), ["read", "read write"])
      assert.deepStrictEqual(http.ran, ["t"])
      assert.strictEqual(auth.state.refreshes.length, 0)
    }).pipe(Effect.scoped))

  it.live("is signed in for by the next program, if nobody could be asked in the first one", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const http = yield* Guarded.start(auth)
      const store = Layer.succeedContext(yield* Layer.build(TokenStore.layerMemory))
      const callIn = (consent: Layer.Layer<Consent.Consent>) =>
        Effect.scoped(
          Effect.flatMap(Layer.build(layerOf(http.url, { store, consent })), (context) =>
            Effect.exit(Context.get(context, Sessions.Sessions).callTool("s", "t")))
        )
      assert.isTrue(Exit.isSuccess(yield* callIn(layerAgree())))
      http.neededScope = "write"
      assert.isTrue(Exit.isFailure(yield* callIn(Consent.layerHeadless)))
      assert.isTrue(Exit.isSuccess(yield* callIn(layerAgree())))
      assert.strictEqual(auth.state.authorizations.at(-1)?.get("scope"), "write")
      assert.deepStrictEqual(http.ran, ["t", "t"])
    }).pipe(Effect.scoped))

  it.live("fails without another sign-in if the scopes were granted already", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting({ auth: { scope: "read" } })
      http.neededScope = "write"
      auth.state.metadata = {}
      yield* sessions.callTool("s", "t")
      // The server goes on asking for what the token has.
      http.neededScope = "read write"
      for (let call = 0; call < 3; call++) {
        assert.deepInclude(yield* reasonOf(sessions.callTool("s", "t")), { _tag: "AuthRequired", status: 403 })
      }
      assert.strictEqual(auth.state.authorizations.length, 2)
    }).pipe(Effect.scoped))
})

describe("a sign-in", () => {
  const failing: ReadonlyArray<
    readonly [title: string, tag: string, change: (auth: Auth.AuthServer, http: Guarded.Guarded) => void]
  > = [
    ["whose response has another state", "AuthorizationFailed", ({ state }) => state.redirect = { state: "other" }],
    ["whose response has no state", "AuthorizationFailed", ({ state }) => state.redirect = { state: undefined }],
    [
      "whose response names another issuer",
      "AuthorizationFailed",
      ({ state }) => state.redirect = { iss: "https://evil.example" }
    ],
    [
      "that the user refuses",
      "AuthRequired",
      ({ state }) => state.redirect = { code: undefined, error: "access_denied" }
    ],
    [
      "whose response has neither code nor error",
      "AuthorizationFailed",
      ({ state }) => state.redirect = { code: undefined }
    ],
    ["whose code is not valid", "AuthRequired", ({ state }) => state.redirect = { code: "replayed" }],
    [
      "at an issuer that calls itself another",
      "AuthorizationFailed",
      ({ state }) => state.metadata = { issuer: "https://evil.example" }
    ],
    [
      "on a page of javascript",
      "AuthorizationFailed",
      ({ state }) => state.metadata = { authorization_endpoint: "javascript:alert(1)" }
    ],
    [
      "whose token endpoint is plain http elsewhere",
      "AuthorizationFailed",
      ({ state }) => state.metadata = { token_endpoint: "http://example.com/token" }
    ],
    ["whose token would be two headers", "AuthorizationFailed", ({ state }) => state.tokenPrefix = "at-1\r\nx: "],
    ["whose token no header can carry", "AuthorizationFailed", ({ state }) => state.tokenPrefix = "at-é北"],
    [
      "on a page of plain http elsewhere",
      "AuthorizationFailed",
      ({ state }) => state.metadata = { authorization_endpoint: "http://example.com/authorize" }
    ],
    ["whose code is quoted as an error", "AuthRequired", ({ state }) => state.tokenFault = "quote"],
    [
      "for the resource of somebody else",
      "AuthorizationFailed",
      (_, http) => http.resource = { resource: "https://evil.example/mcp" }
    ],
    [
      "at an authorization server within another network",
      "AuthorizationFailed",
      (_, http) => http.resource = { authorization_servers: ["http://10.0.0.1"] }
    ],
    [
      "with metadata at an address that does not answer",
      "AuthorizationFailed",
      (_, http) => http.challenge = `, resource_metadata="http://127.0.0.1:1/x"`
    ]
  ]
  for (const [title, tag, change] of failing) {
    it.live(`${title} fails with a typed error, saves nothing, and shows no secret`, () =>
      Effect.gen(function*() {
        const { auth, http, sessions } = yield* setting()
        change(auth, http)
        const error = yield* Effect.flip(sessions.callTool("s", "t"))
        if (error._tag !== "SessionError") return assert.fail(error._tag)
        assert.strictEqual(error.reason._tag, tag)
        assert.deepStrictEqual(http.ran, [])
        assert.notMatch(
          `${inspect(error, { depth: 9 })} ${JSON.stringify(error)}`,
          /(?:at|rt)-[0-9a-f]{32}|description: '[^']*[0-9a-f]{32}|code_verifier/
        )
        // Nothing was saved: the next sign-in starts anew and succeeds.
        auth.state.redirect = {}
        auth.state.metadata = {}
        auth.state.tokenPrefix = "at-"
        auth.state.tokenFault = undefined
        http.resource = {}
        http.challenge = ""
        if (!title.includes("does not answer")) yield* sessions.callTool("s", "t")
      }).pipe(Effect.scoped))
  }

  it.live("registers a client anew, once, if the authorization server does not know it any more", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      yield* sessions.callTool("s", "before")
      auth.state.forgotten.add("client-1")
      auth.expireAll()
      yield* sessions.callTool("s", "after")
      assert.strictEqual(auth.state.registrations.length, 2)
      assert.deepStrictEqual(http.ran, ["before", "after"])
    }).pipe(Effect.scoped))

  it.live("ends when its last caller leaves", () =>
    Effect.gen(function*() {
      let isOpen = false
      const consent = Layer.succeed(Consent.Consent, {
        open: () =>
          Effect.as(
            Effect.acquireRelease(Effect.sync(() => void (isOpen = true)), () =>
              Effect.sync(() => void (isOpen = false))),
            {
              redirectUrl: "http://127.0.0.1:33418/callback",
              ask: () =>
                Effect.never
            }
          )
      })
      const { sessions } = yield* setting({ consent })
      const call = yield* Effect.forkChild(sessions.signIn("s"))
      const other = yield* Effect.forkChild(sessions.signIn("s"))
      yield* until(() => isOpen, (open) => open)
      assert.deepInclude(yield* sessions.signInState("s"), { _tag: "SigningIn" })
      yield* Fiber.interrupt(call)
      assert.isTrue(isOpen)
      yield* Fiber.interrupt(other)
      assert.isFalse(isOpen)
    }).pipe(Effect.scoped))
})

describe("owners", () => {
  it.live("have tokens of their own, and the sign-out of one ends only its own", () =>
    Effect.gen(function*() {
      const { auth, http, sessions } = yield* setting()
      const call = (owner: string) => sessions.callTool("s", owner, {}, { owner })
      yield* Effect.all([call("a"), call("b")], { concurrency: "unbounded" })
      assert.strictEqual(auth.state.authorizations.length, 2)
      // One client is enough for both.
      assert.isAtMost(auth.state.registrations.length, 2)
      const held = yield* sessions.get("s", { owner: "b" })
      yield* sessions.signOut("s", { owner: "a" })
      assert.strictEqual(auth.state.revocations.length, 1)
      assert.deepStrictEqual(yield* sessions.signInState("s", { owner: "a" }), { _tag: "SignedOut" })
      assert.deepInclude(yield* sessions.signInState("s", { owner: "b" }), { _tag: "SignedIn" })
      yield* held.callTool("b")
      assert.strictEqual(yield* held.generation, 1)
      yield* call("a")
      assert.strictEqual(auth.state.authorizations.length, 3)
      assert.deepStrictEqual(http.ran.toSorted(), ["a", "a", "b", "b"])
    }).pipe(Effect.scoped))
})

describe("a change of the sign-in", () => {
  it.live("is seen by those who watch the status", () =>
    Effect.gen(function*() {
      const { sessions } = yield* setting()
      const seen = yield* Effect.forkChild(
        sessions.statusChanges("s").pipe(
          Stream.takeUntil(({ connections }) => connections.some(({ signIn }) => signIn._tag === "SignedIn")),
          Stream.runDrain
        )
      )
      yield* sessions.callTool("s", "t")
      yield* Fiber.join(seen)
    }).pipe(Effect.scoped))
})
