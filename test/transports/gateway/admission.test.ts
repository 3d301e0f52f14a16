/**
 * What a gateway refuses, before a server hears of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { Quotas } from "../../../packages/transports/src/internal/gateway/quotas.ts"
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
      assert.strictEqual(yield* statusWith(url, { host: `127.0.0.1.evil.example.com:${port}` }), 403)
      assert.strictEqual(yield* statusWith(url, { origin: "http://localhost:1234" }), 200)
      assert.strictEqual(yield* statusWith(url, { origin: "https://app.example.com" }), 200)
      assert.strictEqual(yield* statusWith(url, { origin: "https://evil.example.com" }), 403)
      assert.strictEqual(yield* statusWith(url, { origin: "null" }), 403)
    }))

  it.live("does not listen on an address that others reach", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const error = yield* Effect.flip(startGateway({ only: config }, { host: "0.0.0.0", port: -1, path: "/readyz" }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path[0]), ["port", "path", "tokens"])
    }))
})

describe("a gateway with tokens", () => {
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
      const { url } = yield* startGateway({ only: config }, { limits: { maxBodyBytes: 4096 } })
      const { session } = yield* post(url, initialize)
      const large = yield* post(url, call(1, "count", { id: "x".repeat(5000) }), { session })
      assert.strictEqual(large.status, 413)
      const refused = yield* Effect.all([
        post(url, "{", { session }),
        post(url, "7", { session }),
        post(url, "[]", { session }),
        post(url, "[".repeat(2000) + "]".repeat(2000), { session }),
        post(url, call(1, "count"), {}),
        post(url, call(1, "count"), { session, headers: { "mcp-protocol-version": "1999-01-01" } })
      ])
      assert.deepStrictEqual(refused.map(({ status }) => status), [400, 400, 400, 400, 400, 400])
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
      assert.strictEqual(JSON.parse(third.text).id, 3)
      const other = yield* post(url, initialize, { token: "the-token-of-bob-too" })
      assert.strictEqual(other.status, 200)
      const second = yield* post(url, initialize, { token: "the-token-of-bob-too" })
      assert.strictEqual(second.status, 429)
      yield* Fiber.interruptAll(hanging)
    }))
})

describe("quotas", () => {
  const limits = {
    maxBodyBytes: 1,
    maxSessions: 10,
    maxSessionsPerPrincipal: 10,
    maxInFlight: 4,
    maxInFlightPerPrincipal: 4,
    requestsPerSecond: 2
  }

  it("admit a principal below its equal share while the gateway is full", () => {
    const quotas = new Quotas({ ...limits, requestsPerSecond: 100 }, () => 0)
    for (let n = 0; n < 4; n++) assert.isTrue(quotas.begin("greedy"))
    assert.isFalse(quotas.begin("greedy"))
    assert.isTrue(quotas.begin("modest"))
    assert.isTrue(quotas.begin("modest"))
    assert.isFalse(quotas.begin("modest"))
    quotas.end("greedy")
    assert.isFalse(quotas.begin("greedy"))
  })

  it("let a principal begin twice its rate at once, and then its rate", () => {
    let now = 0
    const quotas = new Quotas(limits, () => now)
    const begin = () => {
      const isAdmitted = quotas.begin("one")
      if (isAdmitted) quotas.end("one")
      return isAdmitted
    }
    assert.deepStrictEqual([1, 2, 3, 4, 5].map(begin), [true, true, true, true, false])
    now = 500
    assert.deepStrictEqual([begin(), begin()], [true, false])
  })

  it("call back once nothing is in flight", () => {
    const quotas = new Quotas(limits, () => 0)
    let idle = 0
    quotas.begin("one")
    quotas.whenIdle(() => idle++)
    assert.strictEqual(idle, 0)
    quotas.end("one")
    assert.strictEqual(idle, 1)
  })
})
