/**
 * A gateway that takes access tokens: which it accepts, and what it tells a client whose token it does not accept.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Gateway } from "@mcp-sessions/transports"
import { Clock, Effect, Fiber, Queue, Redacted } from "effect"
import { createHmac } from "node:crypto"
import { TokenRefusals } from "../../../packages/transports/src/internal/gateway/tokenRefusals.ts"
import { call, initialize, listening, post, startGateway, streamOf } from "../../fixtures/gateway.ts"
import { keySetPath, type SignOptions, startIssuer } from "../../fixtures/jwtIssuer.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

type Options = Omit<NonNullable<Parameters<typeof startGateway>[1]>, "jwt">

/** Starts a gateway without servers that takes the tokens of an issuer. */
const guarded = (
  jwt: Partial<Gateway.JwtOptions> = {},
  options: Options = {},
  servers: Parameters<typeof startGateway>[0] = {}
) =>
  Effect.gen(function*() {
    const issuer = yield* startIssuer
    const gateway = yield* startGateway(servers, { ...options, jwt: { issuer: issuer.issuer, ...jwt } })
    const { url } = gateway
    const sign = (options?: SignOptions) => issuer.sign(url, options)
    const tried = (token: string) =>
      Effect.map(post(url, initialize, { token }), ({ headers, status }) => ({
        status,
        challenge: headers["www-authenticate"] ?? ""
      }))
    return { ...gateway, issuer, sign, tried }
  })

const headersOf = (method: string) => ({ "mcp-protocol-version": "2026-07-28", "mcp-method": method })

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** The time of day in whole seconds. */
const seconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

describe("a gateway with an issuer", () => {
  it.live("accepts a token of the issuer for its own URL", () =>
    Effect.gen(function*() {
      const { sign, tried } = yield* guarded()
      assert.strictEqual((yield* tried(yield* sign())).status, 200)
    }))

  it.live("names its metadata to a client without a token, and the error of a token that it does not accept", () =>
    Effect.gen(function*() {
      const { sign, tried, url } = yield* guarded({ requiredScopes: ["read", "call"] })
      const metadata = `resource_metadata="${new URL(url).origin}/.well-known/oauth-protected-resource/mcp"`
      const bare = yield* post(url, initialize)
      assert.deepStrictEqual(
        [bare.status, bare.headers["www-authenticate"]],
        [401, `Bearer ${metadata}, scope="read call"`]
      )
      const expired = yield* tried(yield* sign({ claims: { exp: 1 } }))
      assert.deepStrictEqual(expired, {
        status: 401,
        challenge:
          `Bearer ${metadata}, scope="read call", error="invalid_token", error_description="the token has expired"`
      })
    }))

  it.live("answers 503 with a time to wait while the keys of its issuer cannot be read, and asks for no sign-in", () =>
    Effect.gen(function*() {
      const { issuer, sign, url } = yield* guarded()
      issuer.state.fault = "down"
      const { headers, status } = yield* post(url, initialize, { token: yield* sign() })
      assert.deepStrictEqual([status, headers["retry-after"], headers["www-authenticate"]], [503, "5", undefined])
    }))

  it.live("answers 403 to a token that lacks a scope, and names the scopes", () =>
    Effect.gen(function*() {
      const { sign, tried } = yield* guarded({ requiredScopes: ["read", "call"] })
      const lacking = yield* tried(yield* sign({ claims: { scope: "read" } }))
      assert.strictEqual(lacking.status, 403)
      assert.include(lacking.challenge, "scope=\"read call\", error=\"insufficient_scope\"")
      for (const claims of [{ scope: "call other read" }, { scp: ["read", "call"] }, { scp: "call read" }]) {
        assert.strictEqual((yield* tried(yield* sign({ claims }))).status, 200)
      }
    }))

  it.live("shows its metadata as a resource at both paths, to pages of any origin", () =>
    Effect.gen(function*() {
      const { issuer, url } = yield* guarded({ requiredScopes: ["read"] })
      for (const path of ["", "/mcp"]) {
        const found = yield* post(`${new URL(url).origin}/.well-known/oauth-protected-resource${path}`, undefined, {
          method: "GET",
          headers: { origin: "https://app.example.com" }
        })
        assert.deepStrictEqual([found.status, found.headers["access-control-allow-origin"]], [200, "*"])
        assert.deepStrictEqual(JSON.parse(found.text), {
          resource: url,
          authorization_servers: [issuer.issuer],
          scopes_supported: ["read"],
          bearer_methods_supported: ["header"]
        })
      }
    }))

  it.live("lets pages of allowed origins read its challenge, and pages of others its metadata alone", () =>
    Effect.gen(function*() {
      const { url } = yield* guarded({}, { allowedOrigins: ["https://app.example.com"] })
      const metadata = `${new URL(url).origin}/.well-known/oauth-protected-resource/mcp`
      const from = (origin: string) => ({ headers: { origin, "access-control-request-method": "GET" } })
      const own = yield* post(url, initialize, from("https://app.example.com"))
      assert.strictEqual(own.status, 401)
      assert.include(own.headers["access-control-expose-headers"], "www-authenticate")
      assert.strictEqual((yield* post(url, initialize, from("https://other.example.com"))).status, 403)
      const preflight = yield* post(metadata, undefined, { method: "OPTIONS", ...from("https://other.example.com") })
      assert.deepStrictEqual([preflight.status, preflight.headers["access-control-allow-origin"]], [204, "*"])
      assert.strictEqual((yield* post(metadata, {}, from("https://other.example.com"))).status, 405)
      const rebound = yield* post(metadata, undefined, { method: "GET", headers: { host: "evil.example.com" } })
      assert.strictEqual(rebound.status, 403)
    }))

  it.live("has no metadata without an issuer", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({}, { tokens: { alice: Redacted.make("the-token-of-alice") } })
      const { origin } = new URL(url)
      const found = yield* post(`${origin}/.well-known/oauth-protected-resource`, undefined, {
        method: "GET",
        token: "the-token-of-alice"
      })
      assert.strictEqual(found.status, 404)
    }))

  it.live("answers to its public URL, which is the resource and the audience", () =>
    Effect.gen(function*() {
      const publicUrl = "https://mcp.example.com/tools/mcp"
      const { issuer, tried, url } = yield* guarded({}, { publicUrl })
      const { origin } = new URL(url)
      const host = { host: "mcp.example.com" }
      for (const path of ["", "/mcp", "/tools/mcp"]) {
        const at = `${origin}/.well-known/oauth-protected-resource${path}`
        const { status, text } = yield* post(at, undefined, { method: "GET", headers: host })
        assert.deepStrictEqual([status, JSON.parse(text).resource], [200, publicUrl])
      }
      const bare = yield* post(url, initialize, { headers: host })
      assert.strictEqual(
        bare.headers["www-authenticate"],
        "Bearer resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/tools/mcp\""
      )
      assert.strictEqual((yield* tried(yield* issuer.sign(publicUrl))).status, 200)
      assert.strictEqual((yield* tried(yield* issuer.sign(url))).status, 401)
    }))

  it.live("takes tokens of its configuration beside those of the issuer", () =>
    Effect.gen(function*() {
      const { sign, tried } = yield* guarded({}, { tokens: { bob: Redacted.make("the-token-of-bob-too") } })
      assert.strictEqual((yield* tried("the-token-of-bob-too")).status, 200)
      assert.strictEqual((yield* tried(yield* sign())).status, 200)
      assert.strictEqual((yield* tried("the-token-of-eve")).status, 401)
    }))

  it.live("accepts the audiences, the algorithms and the claim that it is told to", () =>
    Effect.gen(function*() {
      const { issuer, tried } = yield* guarded({
        audience: ["api://mcp", "other"],
        algorithms: ["ES256"],
        principalClaim: "email"
      })
      const claims = { email: "alice@example.com" }
      assert.strictEqual((yield* tried(yield* issuer.sign("api://mcp", { claims }))).status, 200)
      assert.include((yield* tried(yield* issuer.sign("api://mcp"))).challenge, "lacks a claim")
      assert.include((yield* tried(yield* issuer.sign("api://else", { claims }))).challenge, "another resource")
      yield* issuer.rotate("RS256")
      assert.include((yield* tried(yield* issuer.sign("api://mcp", { claims }))).challenge, "algorithm")
    }))
})

describe("the options of access tokens", () => {
  const issuer = "https://auth.example.com"
  const refused = (options: Parameters<typeof startGateway>[1]) =>
    Effect.map(Effect.flip(startGateway({}, options)), (error) =>
      error._tag === "ConfigError"
        ? error.problems.map(({ path }) => path.join("."))
        : assert.fail(error._tag))

  it.effect("need the public URL on an address that others reach", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refused({ host: "0.0.0.0", jwt: { issuer } }), ["publicUrl"])
    }))

  it.effect("without any issuer do not let the gateway listen on such an address", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refused({ host: "0.0.0.0", jwt: [] }), ["tokens"])
    }))

  it.effect("are refused with URLs that others can read, shared secrets, and scopes with quotes", () =>
    Effect.gen(function*() {
      const algorithms = ["HS256", "none"] as unknown as ReadonlyArray<Gateway.JwtAlgorithm>
      const jwt = [
        { issuer: "http://auth.example.com", jwksUri: "http://auth.example.com/keys", algorithms },
        { issuer, requiredScopes: ["a b", "\"", ""], clockTolerance: "6 minutes", audience: "", principalClaim: "" },
        { issuer }
      ] as const
      assert.deepStrictEqual(yield* refused({ jwt, publicUrl: "http://mcp.example.com/mcp" }), [
        "jwt.0.issuer",
        "jwt.0.jwksUri",
        "jwt.0.algorithms",
        "jwt.1.audience",
        "jwt.1.clockTolerance",
        "jwt.1.principalClaim",
        "jwt.1.requiredScopes",
        "jwt",
        "publicUrl"
      ])
    }))

  it.effect("leave the path of the metadata free", () =>
    Effect.gen(function*() {
      const path = "/.well-known/oauth-protected-resource/mcp"
      assert.deepStrictEqual(yield* refused({ jwt: { issuer }, path }), ["path"])
    }))

  it.effect("do not let a token of the configuration have the name of a principal of the issuer", () =>
    Effect.gen(function*() {
      const tokens = { [`${issuer} alice`]: Redacted.make("the-token-of-alice") }
      assert.deepStrictEqual(yield* refused({ jwt: { issuer }, tokens }), [`tokens.${issuer} alice`])
    }))
})

describe("a token", () => {
  for (
    const [title, options, description] of [
      ["of another issuer", { claims: { iss: "https://evil.example.com" } }, "the issuer of the token is not accepted"],
      [
        "for another resource",
        { claims: { aud: "https://other.example.com/mcp" } },
        "the token is for another resource"
      ],
      ["for no resource", { claims: { aud: undefined } }, "the token is for another resource"],
      ["that has expired", { claims: { exp: 1 } }, "the token has expired"],
      ["without an end", { claims: { exp: undefined } }, "the token lacks a claim"],
      ["that begins in the future", { claims: { nbf: 4_102_444_800 } }, "the token is not valid yet"],
      ["without a subject", { claims: { sub: undefined } }, "the token lacks a claim"],
      ["of a subject with a line break", { claims: { sub: "alice\n[INFO] bob" } }, "the token lacks a claim"],
      [
        "that is bound to a key",
        { claims: { cnf: { jkt: "x" } } },
        "the token is bound to a key (cnf), which is not supported"
      ],
      ["of a logout", { header: { typ: "logout+jwt" } }, "the token is not an access token"],
      [
        "of a key that the issuer does not have",
        { header: { kid: "unknown" } },
        "the issuer does not have the key of the token"
      ]
    ] satisfies ReadonlyArray<readonly [string, SignOptions, string]>
  ) {
    it.live(`${title} is refused with 401`, () =>
      Effect.gen(function*() {
        const { sign, tried } = yield* guarded()
        const { challenge, status } = yield* tried(yield* sign(options))
        assert.strictEqual(status, 401)
        assert.include(challenge, `error="invalid_token", error_description="${description}"`)
      }))
  }

  it.live("without a signature, of the algorithm none, is refused", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried } = yield* guarded()
      const [, claims = ""] = (yield* sign()).split(".")
      for (const alg of ["none", "None", "NONE"]) {
        const { challenge, status } = yield* tried(`${base64({ alg })}.${claims}.`)
        assert.strictEqual(status, 401)
        assert.include(challenge, "the algorithm of the signature is not accepted")
      }
      assert.deepStrictEqual(issuer.state.reads, [])
    }))

  it.live("signed with the public key as a shared secret is refused", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried } = yield* guarded()
      const { jwk, kid, pem } = issuer.key()
      const [, claims = ""] = (yield* sign()).split(".")
      for (const secret of [pem, pem.trim(), JSON.stringify(jwk)]) {
        const signed = `${base64({ alg: "HS256", kid })}.${claims}`
        const signature = createHmac("sha256", secret).update(signed).digest("base64url")
        const { challenge, status } = yield* tried(`${signed}.${signature}`)
        assert.strictEqual(status, 401)
        assert.include(challenge, "the algorithm of the signature is not accepted")
      }
    }))

  it.live("signed with a secret that the issuer shows by mistake is refused", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried } = yield* guarded()
      issuer.state.keys.push({ kty: "oct", kid: "secret", k: Buffer.from("secret").toString("base64url") })
      const [, claims = ""] = (yield* sign()).split(".")
      const signed = `${base64({ alg: "HS256", kid: "secret" })}.${claims}`
      const signature = createHmac("sha256", "secret").update(signed).digest("base64url")
      assert.strictEqual((yield* tried(`${signed}.${signature}`)).status, 401)
    }))

  it.live("with changed claims, or with a key of its own in the header, is refused", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried, url } = yield* guarded()
      const [header = "", , signature = ""] = (yield* sign()).split(".")
      const now = yield* seconds
      const claims = { iss: issuer.issuer, aud: url, sub: "root", exp: now + 60 }
      assert.include((yield* tried(`${header}.${base64(claims)}.${signature}`)).challenge, "signature")
      const evil = yield* startIssuer
      const { jwk } = evil.key()
      for (const own of [{ jwk }, { jku: `${evil.issuer}${keySetPath}` }, { x5u: `${evil.issuer}${keySetPath}` }]) {
        const forged = yield* evil.sign(url, { claims: { iss: issuer.issuer }, header: own })
        assert.strictEqual((yield* tried(forged)).status, 401)
      }
      assert.deepStrictEqual(evil.state.reads, [])
    }))

  it.live("that is too long, or no token, is refused before any key is read", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried } = yield* guarded()
      const long = yield* sign({ claims: { padding: "x".repeat(9000) } })
      for (
        const wrong of [
          long,
          "a.b.c",
          "..",
          `${base64({ alg: "ES256" })}.${base64([])}.x`,
          "x".repeat(4000),
          "a.b.c.d.e"
        ]
      ) {
        assert.strictEqual((yield* tried(wrong)).status, 401)
      }
      const beyond = yield* tried(`${long}${"x".repeat(16_384)}`)
      assert.strictEqual(beyond.status, 431)
      assert.deepStrictEqual(issuer.state.reads, [])
    }))

  it.live("in the URL is ignored", () =>
    Effect.gen(function*() {
      const { sign, url } = yield* guarded()
      const token = yield* sign()
      assert.strictEqual((yield* post(`${url}?access_token=${token}`, initialize)).status, 401)
    }))

  it.live("beside another one in a second header is refused with 400", () =>
    Effect.gen(function*() {
      const { sign, url } = yield* guarded()
      const token = `Bearer ${yield* sign()}`
      const { headers, status } = yield* post(url, initialize, {
        headers: { authorization: [token, token] }
      })
      assert.strictEqual(status, 400)
      assert.include(headers["www-authenticate"], "error=\"invalid_request\"")
    }))

  it.live("that names no key is verified with each of them", () =>
    Effect.gen(function*() {
      const { issuer, sign, tried } = yield* guarded()
      const { jwk } = issuer.key()
      yield* issuer.rotate()
      issuer.state.keys.unshift(jwk)
      assert.strictEqual((yield* tried(yield* sign({ header: { kid: undefined } }))).status, 200)
      const evil = yield* startIssuer
      const forged = yield* sign({ header: { kid: undefined }, key: evil.key() })
      assert.include((yield* tried(forged)).challenge, "the signature of the token is wrong")
    }))
})

describe("the token of a client", () => {
  it.live("never reaches a server", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message, response }) => {
        if (message.method !== "tools/list") return false
        Http.json(response, Http.result(message.id, { tools: [{ name: "t", inputSchema: { type: "object" } }] }))
        return true
      })
      const { sign, url } = yield* guarded({}, {}, { only: { url: server.url, protocol: "legacy" } })
      const token = yield* sign()
      const { session } = yield* post(url, initialize, { token })
      assert.strictEqual((yield* post(url, call(1, "t"), { session, token })).status, 200)
      assert.strictEqual(server.count("POST tools/call t"), 1)
      for (const { headers } of server.ledger) {
        assert.isUndefined(headers.authorization)
        assert.notInclude(JSON.stringify(headers), token)
      }
    }))
})

describe("the principal of a token", () => {
  it.live("keeps its session with another token, and another principal has the answer of an unknown id", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { sign, url } = yield* guarded({}, {}, { only: config })
      const [first, second] = [yield* sign({ claims: { jti: "1" } }), yield* sign({ claims: { jti: "2" } })]
      const other = yield* sign({ claims: { sub: "bob" } })
      const { session } = yield* post(url, initialize, { token: first })
      const count = (id: number, token: string) => post(url, call(id, "count", { id: String(id) }), { session, token })
      assert.strictEqual((yield* count(1, first)).status, 200)
      assert.strictEqual((yield* count(2, second)).status, 200)
      const { status, text } = yield* count(3, other)
      assert.deepStrictEqual([status, JSON.parse(text).error.message], [404, "Session not found"])
      assert.deepStrictEqual(ledger("count"), ["1", "2"])
    }))

  it.live("differs from that of another issuer, and from the names of the configuration", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* startIssuer, yield* startIssuer]
      const { url } = yield* startGateway({}, {
        tokens: { alice: Redacted.make("the-token-of-alice") },
        jwt: [{ issuer: first.issuer }, { issuer: second.issuer }]
      })
      const tokens = [yield* first.sign(url), yield* second.sign(url), "the-token-of-alice"]
      const { session } = yield* post(url, initialize, { token: tokens[0] ?? "" })
      const ping = { jsonrpc: "2.0", id: 1, method: "ping" }
      const statuses = yield* Effect.forEach(tokens, (token) =>
        Effect.map(post(url, ping, { session, token }), ({ status }) => status))
      assert.deepStrictEqual(statuses, [200, 404, 404])
    }))
})

describe("a token that was accepted", () => {
  it.live("is accepted after its end for as long as clocks may differ", () =>
    Effect.gen(function*() {
      const { sign, tried } = yield* guarded({ clockTolerance: "1 minute" })
      const now = yield* seconds
      assert.strictEqual((yield* tried(yield* sign({ claims: { exp: now - 30 } }))).status, 200)
      assert.strictEqual((yield* tried(yield* sign({ claims: { nbf: now + 30 } }))).status, 200)
      assert.strictEqual((yield* tried(yield* sign({ claims: { exp: now - 61 } }))).status, 401)
    }))

  it.live("is not accepted any more once it has expired", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const { sign, tried } = yield* guarded({ clockTolerance: "5 seconds" })
          const token = yield* sign()
          assert.strictEqual((yield* tried(token)).status, 200)
          move(64_000 - 1000)
          assert.strictEqual((yield* tried(token)).status, 200)
          move(3000)
          assert.include((yield* tried(token)).challenge, "the token has expired")
        }),
        Clock.Clock,
        clock
      )
    }))

  it.live("ends the stream of subscriptions that it opened, without a session", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const { sign, url } = yield* guarded()
          const signal = yield* Effect.abortSignal
          const [token, longer] = [yield* sign(), yield* sign({ claims: { exp: (yield* seconds) + 3600 } })]
          const listen = (token: string) =>
            Effect.promise(async () => {
              const headers = { ...headersOf("subscriptions/listen"), authorization: `Bearer ${token}` }
              const messages = await streamOf(url, "", listening, signal, { headers })
              assert.strictEqual((await messages.next()).value.method, "notifications/subscriptions/acknowledged")
              return messages
            })
          const [ending, staying] = [yield* listen(token), yield* listen(longer)]
          const next = { isKnown: false }
          // The end of the test aborts it.
          void staying.next().catch(() => {}).finally(() => void (next.isKnown = true))
          move(70_000)
          assert.isTrue((yield* Effect.promise(() => ending.next())).done)
          assert.isFalse(next.isKnown)
        }),
        Clock.Clock,
        clock
      )
    }))

  it.live("ends the stream that it opened, and no call in flight", () =>
    Effect.gen(function*() {
      const { clock, move } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const { config, ledger } = yield* stdio("v1").start
          const { sign, url } = yield* guarded({}, { drainTimeout: 0 }, { only: config })
          const [token, other] = [yield* sign(), yield* sign({ claims: { exp: (yield* seconds) + 3600 } })]
          const { session } = yield* post(url, initialize, { token })
          const hanging = yield* Effect.forkChild(
            post(url, call(1, "hang", { id: "1" }), { session, token })
          )
          yield* until(() => ledger("hang"), (ids) => ids.length === 1)
          const signal = yield* Effect.abortSignal
          const headers = { authorization: `Bearer ${token}` }
          const stream = yield* Effect.promise(() =>
            streamOf(url, session, undefined, signal, { method: "GET", headers })
          )
          move(70_000)
          assert.isTrue((yield* Effect.promise(() => stream.next())).done)
          assert.isUndefined(hanging.pollUnsafe())
          assert.strictEqual(
            (yield* post(url, call(2, "echo", { message: "hi" }), { session, token: other })).status,
            200
          )
          yield* Fiber.interrupt(hanging)
        }),
        Clock.Clock,
        clock
      )
    }))
})

describe("the audit of a gateway", () => {
  it.live("records a token that is not accepted, without the token, and counts all of them", () =>
    Effect.gen(function*() {
      const records = yield* Queue.unbounded<Gateway.AuditRecord>()
      const { sign, tried, url } = yield* guarded({}, { audit: (record) => Queue.offer(records, record) })
      const metricsOf = Effect.gen(function*() {
        const options = { method: "GET", token: yield* sign() }
        const { text } = yield* post(`${new URL(url).origin}/metrics`, undefined, options)
        return (reason: string) =>
          Number(new RegExp(`mcp_sessions_gateway_refusals_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1] ?? 0)
      })
      const before = yield* metricsOf
      yield* post(url, initialize)
      const token = yield* sign({ claims: { exp: 1 } })
      yield* tried(token)
      yield* tried(token)
      const all = yield* Queue.takeN(records, 2)
      const record = { _tag: "Refused", reason: "Expired", address: "127.0.0.1", skipped: 0 } as const
      assert.deepStrictEqual(all, [record, record])
      const after = yield* metricsOf
      assert.strictEqual(after("Expired") - before("Expired"), 2)
      assert.strictEqual(after("NoToken") - before("NoToken"), 1)
    }))

  it("has ten records of refused tokens at once and one in a second, which count those without a record", () => {
    let now = 0
    const records: Array<Gateway.AuditRecord> = []
    const refusals = new TokenRefusals({
      now: () => now,
      fork: Effect.runFork,
      record: (record) => void records.push(record)
    })
    const refuse = (times: number) => {
      for (let n = 0; n < times; n++) refusals.add("Expired", "127.0.0.1")
    }
    const skippedOf = () => records.splice(0).map((record) => record._tag === "Refused" ? record.skipped : undefined)
    refuse(30)
    assert.deepStrictEqual(skippedOf(), Array(10).fill(0))
    now = 999
    refuse(1)
    assert.deepStrictEqual(skippedOf(), [])
    now = 1000
    refuse(2)
    assert.deepStrictEqual(skippedOf(), [21])
    now = 1_000_000
    refuse(11)
    assert.deepStrictEqual(skippedOf(), [1, ...Array(9).fill(0)])
    // So every sign-in begins.
    now = 2_000_000
    refusals.add("NoToken", "127.0.0.1")
    assert.deepStrictEqual(skippedOf(), [])
  })
})
