/**
 * What a gateway refuses, before a server hears of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { request } from "node:http"
import { connect } from "node:net"
import { Quotas } from "../../../packages/transports/src/internal/gateway/admission/quotas.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { stdio, until } from "../../fixtures/peer.ts"

const token = "the-token-of-alice"
const tokens = { alice: Redacted.make(token), bob: Redacted.make("the-token-of-bob-too") }

/** The status of a POST with these headers. */
const statusWith = (url: string, headers: Readonly<Record<string, string>>) =>
  Effect.map(post(url, initialize, { headers }), ({ status }) => status)

describe("a gateway without tokens", () => {
  it.live("refuses a Host and an Origin that are not of this machine, against DNS rebinding", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { port, url } = yield* startGateway({ only: config }, { allowedOrigins: ["https://app.example.com"] })
      assert.strictEqual(yield* statusWith(url, {}), 200)
      assert.strictEqual(yield* statusWith(url, { host: `localhost:${port}` }), 200)
      assert.strictEqual(yield* statusWith(url, { host: "evil.example.com" }), 403)
      for (
        const host of ["127.0.0.1.evil.example.com", "127.0.0.1/evil", "localhost@evil.example.com", "localhost:x"]
      ) {
        assert.strictEqual(yield* statusWith(url, { host }), 403)
      }
      assert.strictEqual(yield* statusWith(url, { origin: "http://localhost:1234" }), 200)
      assert.strictEqual(yield* statusWith(url, { origin: "https://app.example.com" }), 200)
      for (
        const origin of [
          "https://evil.example.com",
          "http://localhost.evil.example.com",
          "http://127.0.0.1.evil.example.com",
          "http://localhost@evil.example.com",
          "https://app.example.com.evil.example.com",
          "http://localhost/",
          "null"
        ]
      ) assert.strictEqual(yield* statusWith(url, { origin }), 403)
    }))

  it.live("refuses a request with two Host headers, of which a proxy may have seen the other", () =>
    Effect.gen(function*() {
      const { port } = yield* startGateway({})
      const statusOf = (hosts: ReadonlyArray<string>) =>
        Effect.promise(() =>
          new Promise<string>((resolve, reject) => {
            const socket = connect(port, "127.0.0.1")
            let text = ""
            socket.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
            socket.on("error", reject).on("end", () => resolve(text.split(" ")[1] ?? ""))
            socket.write(["GET /healthz HTTP/1.1", ...hosts.map((host) => `Host: ${host}`), "Connection: close", "", ""]
              .join("\r\n"))
          })
        )
      assert.strictEqual(yield* statusOf(["localhost"]), "200")
      assert.strictEqual(yield* statusOf(["localhost", "evil.example.com"]), "403")
      assert.strictEqual(yield* statusOf(["localhost", "localhost"]), "403")
    }))

  it.live("does not listen on an address that others reach", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const error = yield* Effect.flip(startGateway({ only: config }, { host: "0.0.0.0", port: -1, path: "/readyz" }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path[0]), ["port", "path", "tokens"])
    }))
})

describe("a gateway on an address that others reach", () => {
  const reached = { host: "0.0.0.0", tokens }

  /** The status of a GET of `/healthz` on loopback with these headers. */
  const healthWith = (port: number, headers: Readonly<Record<string, string>>) =>
    Effect.map(post(`http://127.0.0.1:${port}/healthz`, undefined, { method: "GET", headers }), ({ status }) => status)

  it.live("takes requests for any Host, unless hosts are listed", () =>
    Effect.gen(function*() {
      const open = yield* startGateway({}, reached)
      assert.strictEqual(yield* healthWith(open.port, { host: "mcp.example.com" }), 200)
      const { port } = yield* startGateway({}, { ...reached, allowedHosts: ["MCP.example.com"] })
      assert.strictEqual(yield* healthWith(port, { host: "mcp.example.com:3000" }), 200)
      assert.strictEqual(yield* healthWith(port, { host: "evil.example.com" }), 403)
      assert.strictEqual(yield* healthWith(port, { host: "127.0.0.1" }), 403)
    }))

  it.live("takes no page of the machine of its user, whose origin is not listed", () =>
    Effect.gen(function*() {
      const { port } = yield* startGateway({}, { ...reached, allowedOrigins: ["https://app.example.com"] })
      assert.strictEqual(yield* healthWith(port, { origin: "https://app.example.com" }), 200)
      assert.strictEqual(yield* healthWith(port, { origin: "http://localhost:1234" }), 403)
    }))
})

describe("a gateway with tokens", () => {
  it.live("does not start with a token that is short or has spaces, or with an origin that has a path", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startGateway({}, {
        tokens: {
          short: Redacted.make("x".repeat(15)),
          spaced: Redacted.make("a token with spaces"),
          long: Redacted.make("x".repeat(16))
        },
        allowedOrigins: ["https://app.example.com", "https://app.example.com/path", "*"]
      }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path.join(".")), [
        "tokens.short",
        "tokens.spaced",
        "allowedOrigins",
        "allowedOrigins"
      ])
      assert.notInclude(error.message, "a token with spaces")
    }))

  /** The paths and the message of the problems of options. */
  const refused = (options: Parameters<typeof startGateway>[1]) =>
    Effect.map(Effect.flip(startGateway({}, options)), (error) => {
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      return { paths: error.problems.map(({ path }) => path.join(".")), message: error.message }
    })

  it.live("does not start with one token for two principals, and names the principals alone", () =>
    Effect.gen(function*() {
      const { message, paths } = yield* refused({
        tokens: { alice: Redacted.make(token), bob: Redacted.make("the-token-of-bob-too"), carol: Redacted.make(token) }
      })
      assert.deepStrictEqual(paths, ["tokens.carol"])
      assert.include(message, "\"alice\"")
      assert.notInclude(message, token)
    }))

  it.live("does not start with an access token of an issuer as a token, which would be accepted after its end", () =>
    Effect.gen(function*() {
      const issuer = "https://auth.example.com"
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
      const tokenOf = (iss: string) => Redacted.make(`${part({ alg: "RS256" })}.${part({ iss })}.c2lnbmF0dXJl`)
      const { paths } = yield* refused({
        jwt: { issuer },
        tokens: {
          alice: tokenOf(issuer),
          bob: tokenOf("https://other.example.com"),
          carol: Redacted.make("a.b.cdefghijklmnop")
        }
      })
      assert.deepStrictEqual(paths, ["tokens.alice"])
    }))

  it.live("does not start with a negative tolerance of clocks, or one above 5 minutes", () =>
    Effect.gen(function*() {
      const { paths } = yield* refused({
        jwt: [
          { issuer: "https://a.example.com", clockTolerance: "-1 seconds" },
          { issuer: "https://b.example.com", clockTolerance: "6 minutes" },
          { issuer: "https://c.example.com", clockTolerance: 0 }
        ]
      })
      assert.deepStrictEqual(paths, ["jwt.0.clockTolerance", "jwt.1.clockTolerance"])
    }))

  it.live("does not start with limits and durations that are larger than it can keep", () =>
    Effect.gen(function*() {
      const { paths } = yield* refused({
        limits: { maxBodyBytes: 1024 ** 3, maxSessions: 1e300 },
        idleTimeToLive: "25 days",
        drainTimeout: Infinity
      })
      assert.deepStrictEqual(paths, ["limits.maxBodyBytes", "limits.maxSessions", "idleTimeToLive", "drainTimeout"])
    }))

  it.live("opens a session for a principal below its equal share while it has all sessions that it may have", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({}, { tokens, limits: { maxSessions: 2 } })
      const bob = "the-token-of-bob-too"
      const opened = yield* Effect.forEach(
        [token, token, token, bob, bob],
        (token) => post(url, initialize, { token })
      )
      assert.deepStrictEqual(opened.map(({ status }) => status), [200, 200, 429, 200, 429])
      assert.deepStrictEqual(opened.map(({ headers }) => headers["retry-after"]), [
        undefined,
        undefined,
        "1",
        undefined,
        "1"
      ])
      for (const { session } of opened.slice(0, 2)) yield* post(url, undefined, { method: "DELETE", token, session })
      const again = yield* Effect.all([post(url, initialize, { token }), post(url, initialize, { token })])
      assert.deepStrictEqual(again.map(({ status }) => status), [200, 429])
    }))

  it.live("does not start with an empty set of tokens, which would let in all requests", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startGateway({}, { tokens: {} }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [["tokens"]])
    }))

  it.live("does not start with an empty list of issuers, which would let in all requests", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startGateway({}, { jwt: [] }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [["tokens"]])
    }))

  it.live("does not start with an operator who has no token", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startGateway({}, { tokens, operators: ["alice", "carol"] }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [["operators"]])
    }))

  for (const key of ["allowedHosts", "allowedOrigins", "operators"] as const) {
    it.live(`does not start if ${key} is not a list of texts`, () =>
      Effect.gen(function*() {
        for (const value of ["alice", [1], { 0: "alice" }, null]) {
          const { paths } = yield* refused({ tokens, [key]: value } as never)
          assert.deepStrictEqual(paths, [key])
        }
      }))
  }

  it.live("names the limit that is meant if one of them is misspelled", () =>
    Effect.gen(function*() {
      const limits = { maxInFligt: 3 } as Record<string, number>
      const error = yield* Effect.flip(startGateway({}, { limits }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.include(error.message, "did you mean \"maxInFlight\"?")
    }))

  it.live("says whether the limit of sessions or of requests is reached", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, {
        limits: { maxSessionsPerPrincipal: 1, requestsPerSecond: 1 }
      })
      assert.strictEqual((yield* post(url, initialize)).status, 200)
      const session = yield* post(url, initialize)
      const request = yield* post(url, initialize)
      assert.deepStrictEqual([session.status, request.status], [429, 429])
      assert.include(session.text, "too many sessions")
      assert.include(request.text, "too many requests")
    }))

  it.live("answers 401 to a request without one of them, and tells nothing", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { tokens })
      for (const wrong of [{}, { token: "x" }, { token: `${token}x` }, { token: token.slice(1) }]) {
        const { status, text } = yield* post(url, initialize, wrong)
        assert.deepStrictEqual([status, JSON.parse(text)], [401, { error: "the request needs a bearer token" }])
      }
      assert.strictEqual((yield* post(url, initialize, { token })).status, 200)
    }))
})

describe("a POST", () => {
  it.live("is refused that is too large, not JSON, too deep or of another media type", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { limits: { maxBodyBytes: 8192 } })
      const { session } = yield* post(url, initialize)
      const large = yield* post(url, call(1, "count", { id: "x".repeat(9000) }), { session })
      assert.strictEqual(large.status, 413)
      const refused = yield* Effect.all([
        post(url, "{", { session }),
        post(url, "7", { session }),
        post(url, "[]", { session }),
        post(url, "[".repeat(2000) + "]".repeat(2000), { session }),
        post(
          url,
          JSON.stringify(call(1, "count", { id: "deep" })).replace("\"deep\"", "[".repeat(2000) + "]".repeat(2000)),
          {
            session
          }
        ),
        post(url, call(1, "count"), {}),
        post(url, call(1, "count"), { session, headers: { "mcp-protocol-version": "1999-01-01" } })
      ])
      assert.deepStrictEqual(refused.map(({ status }) => status), Array(7).fill(400))
      const form = yield* post(url, call(1, "count"), { session, headers: { "content-type": "text/plain" } })
      assert.strictEqual(form.status, 415)
      const media = yield* post(url, call(1, "count"), { session, headers: { accept: "text/html" } })
      assert.strictEqual(media.status, 406)
      assert.deepStrictEqual(ledger("count"), [])
    }))

  it.live("beyond the limit of its principal is refused with 429, and one of another principal is not", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const limits = { maxInFlightPerPrincipal: 2, maxSessionsPerPrincipal: 1 }
      const { url } = yield* startGateway({ only: config }, { tokens, limits, drainTimeout: 0 })
      const { session } = yield* post(url, initialize, { token })
      const hanging = yield* Effect.forEach(
        [1, 2],
        (id) => Effect.forkChild(post(url, call(id, "hang", { id: String(id) }), { session, token }))
      )
      yield* until(() => ledger("hang"), (ids) => ids.length === 2)
      const third = yield* post(url, call(3, "echo"), { session, token })
      assert.strictEqual(third.status, 429)
      assert.strictEqual(third.headers["retry-after"], "1")
      // Its body is not read.
      assert.isNull(JSON.parse(third.text).id)
      const other = yield* post(url, initialize, { token: "the-token-of-bob-too" })
      assert.strictEqual(other.status, 200)
      const second = yield* post(url, initialize, { token: "the-token-of-bob-too" })
      assert.strictEqual(second.status, 429)
      yield* Fiber.interruptAll(hanging)
    }))

  it.live("of unknown length is refused once it is larger than the limit", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { limits: { maxBodyBytes: 4096 } })
      const { session } = yield* post(url, initialize)
      const sent = (size: number) =>
        post(url, call(1, "count", { id: "x".repeat(size) }), { session, headers: { "transfer-encoding": "chunked" } })
      assert.strictEqual((yield* sent(5000)).status, 413)
      assert.strictEqual((yield* sent(3000)).status, 200)
      assert.deepStrictEqual(ledger("count").map(({ length }) => length), [3000])
    }))

  it.live("is refused that is compressed, not UTF-8, or of more than 32 messages", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const count = call(1, "count", { id: "1" })
      const encoded = yield* post(url, count, { session, headers: { "content-encoding": "gzip" } })
      const batch = (size: number) => Array.from({ length: size }, (_, id) => ({ ...count, id }))
      const large = yield* post(url, batch(33), { session })
      // A session cannot begin within a batch.
      const begun = yield* post(url, [initialize, count], {})
      assert.deepStrictEqual([begun.status, begun.session], [400, ""])
      const statusOfBytes = (body: Buffer) =>
        Effect.callback<number | undefined>((resume) => {
          const headers = { "content-type": "application/json", accept: "application/json", "mcp-session-id": session }
          request(
            url,
            { method: "POST", agent: false, headers },
            ({ statusCode }) => resume(Effect.succeed(statusCode))
          )
            .end(body)
        })
      const text = JSON.stringify(call(1, "count", { id: "\u00e9" }))
      const latin = yield* statusOfBytes(Buffer.from(text, "latin1"))
      assert.deepStrictEqual([encoded.status, large.status, latin], [415, 400, 400])
      assert.deepStrictEqual(ledger("count"), [])
      assert.strictEqual((yield* post(url, batch(32), { session })).status, 200)
      assert.strictEqual(yield* statusOfBytes(Buffer.from(text)), 200)
      assert.lengthOf(ledger("count"), 33)
    }))

  it.live("is the only method beside GET and DELETE, and GET is for event streams alone", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const { session } = yield* post(url, initialize)
      for (const method of ["PUT", "PATCH", "HEAD"]) {
        const { headers, status } = yield* post(url, undefined, { method, session })
        assert.deepStrictEqual([status, headers.allow], [405, "GET, POST, DELETE"])
      }
      const json = yield* post(url, undefined, { method: "GET", session, headers: { accept: "application/json" } })
      assert.strictEqual(json.status, 406)
    }))
})

describe("quotas", () => {
  const limits = {
    maxBodyBytes: 1,
    maxSessions: 10,
    maxSessionsPerPrincipal: 10,
    maxInFlight: 4,
    maxInFlightPerPrincipal: 4,
    maxInFlightBytes: 1000,
    maxInFlightBytesPerPrincipal: 1000,
    requestsPerSecond: 2
  }

  it("admit a principal below its equal share while the gateway is full", () => {
    const quotas = new Quotas({ ...limits, requestsPerSecond: 100 }, () => 0)
    const [first] = Array.from({ length: 4 }, () => quotas.begin("greedy") ?? assert.fail())
    assert.isUndefined(quotas.begin("greedy"))
    assert.isDefined(quotas.begin("modest"))
    assert.isDefined(quotas.begin("modest"))
    assert.isUndefined(quotas.begin("modest"))
    first?.end()
    assert.isUndefined(quotas.begin("greedy"))
  })

  it("let a principal begin twice its rate at once, and then its rate", () => {
    let now = 0
    const quotas = new Quotas(limits, () => now)
    const begin = () => {
      const place = quotas.begin("one")
      place?.end()
      return place !== undefined
    }
    assert.deepStrictEqual([1, 2, 3, 4, 5].map(begin), [true, true, true, true, false])
    now = 500
    assert.deepStrictEqual([begin(), begin()], [true, false])
  })

  it("call back once nothing is in flight", () => {
    const quotas = new Quotas(limits, () => 0)
    let idle = 0
    const place = quotas.begin("one")
    quotas.whenIdle(() => idle++)
    assert.strictEqual(idle, 0)
    place?.end()
    assert.strictEqual(idle, 1)
  })

  it("forget principals that use nothing, and no other ones, while there are more than 1,024", () => {
    let now = 0
    const quotas = new Quotas({ ...limits, maxInFlight: 5000, maxInFlightPerPrincipal: 1 }, () => now)
    const once = (principal: string) => {
      const place = quotas.begin(principal)
      place?.end()
      return place !== undefined
    }
    assert.isDefined(quotas.begin("busy"))
    for (let n = 0; n < 10; n++) assert.isDefined(quotas.open("holds sessions"))
    for (let n = 0; n < 4; n++) assert.isTrue(once("limited"))
    for (let n = 0; n < 3000; n++) assert.isTrue(once(`other ${n}`))
    assert.deepStrictEqual([quotas.begin("busy"), quotas.open("holds sessions"), once("limited")], [
      undefined,
      undefined,
      false
    ])
    now = 60_000
    for (let n = 0; n < 3000; n++) assert.isTrue(once(`later ${n}`))
    assert.deepStrictEqual([quotas.begin("busy"), quotas.open("holds sessions"), once("limited")], [
      undefined,
      undefined,
      true
    ])
  })
})
