/**
 * The keys of an issuer: when they are read, and what becomes of tokens when they cannot be. The issuer keeps the ledger of readings.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Gateway } from "@mcp-sessions/transports"
import { Effect, Fiber, References } from "effect"
import { TestClock } from "effect/testing"
import { readJwtOptions } from "../../../packages/transports/src/internal/accessTokens/jwtOptions.ts"
import { openAccessTokens } from "../../../packages/transports/src/internal/accessTokens/openAccessTokens.ts"
import { keySetPath, startIssuer } from "../../fixtures/jwtIssuer.ts"
import { until } from "../../fixtures/peer.ts"

const resource = "https://mcp.example.com/mcp"

/** Opens the tokens of an issuer, with monotonic time that the test moves. */
const opened = (options: Partial<Gateway.JwtOptions> = {}) =>
  Effect.gen(function*() {
    const issuer = yield* startIssuer
    const { issuers, problems } = readJwtOptions({ issuer: issuer.issuer, ...options })
    assert.deepStrictEqual(problems, [])
    let now = 0
    const tokens = (yield* openAccessTokens({ issuers, mostRemembered: 3, now: () => now }))(resource)
    /** The fault of a token that was not seen before; `undefined` if it is accepted. */
    const faultOf = (token: string) =>
      Effect.match(tokens.verify(token, token), { onFailure: ({ fault }) => fault, onSuccess: () => undefined })
    let count = 0
    const fresh = Effect.suspend(() => issuer.sign(resource, { claims: { jti: String(++count) } }))
    const move = (millis: number) => void (now += millis)
    return { issuer, tokens, faultOf, fresh, move, sign: issuer.sign.bind(undefined, resource) }
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

describe("the keys of an issuer", () => {
  it.live("are read once for all tokens that wait for them", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer } = yield* opened()
      const tokens = yield* Effect.all(Array.from({ length: 50 }, () => fresh))
      const faults = yield* Effect.forEach(tokens, faultOf, { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(faults), new Set([undefined]))
      assert.deepStrictEqual(issuer.state.reads, ["/.well-known/oauth-authorization-server", keySetPath])
    }))

  it.live("are read from the URL of the configuration without any discovery", () =>
    Effect.gen(function*() {
      const other = yield* startIssuer
      const { faultOf, issuer, sign } = yield* opened({ jwksUri: `${other.issuer}${keySetPath}` })
      assert.isUndefined(yield* faultOf(yield* sign({ key: other.key() })))
      assert.deepStrictEqual([issuer.state.reads, other.state.reads], [[], [keySetPath]])
    }))

  it.live("are not read for each of many tokens with invented keys", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move, sign } = yield* opened()
      yield* faultOf(yield* fresh)
      const flood = Effect.forEach(
        Array.from({ length: 200 }, (_, n) => n),
        (n) => Effect.flatMap(sign({ header: { kid: `invented-${n}` } }), faultOf),
        { concurrency: 20 }
      )
      assert.deepStrictEqual(new Set(yield* flood), new Set(["UnknownKey" as const]))
      assert.strictEqual(issuer.readsOf(keySetPath), 1)
      move(30_000)
      assert.deepStrictEqual(new Set(yield* flood), new Set(["UnknownKey" as const]))
      assert.strictEqual(issuer.readsOf(keySetPath), 2)
    }))

  it.live("are read again when a token names a new one", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move } = yield* opened()
      const old = yield* fresh
      assert.isUndefined(yield* faultOf(old))
      yield* issuer.rotate()
      move(30_000)
      assert.isUndefined(yield* faultOf(yield* fresh))
      assert.strictEqual(yield* faultOf(old), "UnknownKey")
    }))

  it.live("are read again when a token that names none has a wrong signature", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move, sign } = yield* opened()
      yield* faultOf(yield* fresh)
      yield* issuer.rotate()
      move(30_000)
      assert.isUndefined(yield* faultOf(yield* sign({ header: { kid: undefined } })))
    }))

  it.live("end the tokens that were accepted with one that the issuer has withdrawn", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move, tokens } = yield* opened()
      const token = yield* fresh
      yield* faultOf(token)
      assert.isDefined(tokens.recall(token))
      yield* issuer.rotate()
      move(10 * 60_000)
      // It is accepted while the keys are read.
      assert.isDefined(tokens.recall(token))
      yield* until(() => tokens.recall(token), (known) => known === undefined)
      assert.strictEqual(yield* faultOf(token), "UnknownKey")
    }))

  it.live("stay in use while the issuer is down", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move } = yield* opened()
      yield* faultOf(yield* fresh)
      issuer.state.fault = "down"
      move(10 * 60_000)
      assert.isUndefined(yield* faultOf(yield* fresh))
      assert.strictEqual(issuer.readsOf(keySetPath), 2)
    }))

  for (const fault of ["down", "page", "huge"] as const) {
    it.live(`are not there while the issuer answers with a fault (${fault}), and are once it does not`, () =>
      Effect.gen(function*() {
        const { faultOf, fresh, issuer, move } = yield* opened()
        issuer.state.fault = fault
        assert.strictEqual(yield* faultOf(yield* fresh), "KeysUnavailable")
        issuer.state.fault = undefined
        assert.strictEqual(yield* faultOf(yield* fresh), "KeysUnavailable")
        assert.strictEqual(issuer.readsOf(keySetPath), 1)
        move(5000)
        assert.isUndefined(yield* faultOf(yield* fresh))
      }))
  }

  for (
    const [title, keys] of [
      ["is not there", undefined],
      ["is empty", []],
      ["has more than 64 keys", Array.from({ length: 65 }, (_, n) => ({ kty: "EC", kid: String(n) }))]
    ] as const
  ) {
    it.live(`are not accepted from a set that ${title}`, () =>
      Effect.gen(function*() {
        const { faultOf, fresh, issuer } = yield* opened()
        issuer.state.keys = keys as unknown as typeof issuer.state.keys
        assert.strictEqual(yield* faultOf(yield* fresh), "KeysUnavailable")
      }))
  }

  it.live("are usable beside members of the set that are no keys", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer } = yield* opened()
      issuer.state.keys = [null, 7, {}, { kty: 7 }, ...issuer.state.keys] as typeof issuer.state.keys
      assert.isUndefined(yield* faultOf(yield* fresh))
    }))

  it.live("are tried for a token that names none, 8 of them at most", () =>
    Effect.gen(function*() {
      const { faultOf, issuer, sign } = yield* opened()
      const { jwk } = issuer.key()
      const others = yield* Effect.forEach(Array.from({ length: 8 }), () => issuer.rotate())
      const token = sign({ header: { kid: undefined } })
      issuer.state.keys = [...others.slice(0, 7).map(({ jwk }) => jwk), issuer.key().jwk]
      assert.isUndefined(yield* faultOf(yield* token))
      const { faultOf: fault, issuer: second, sign: signed } = yield* opened()
      second.state.keys = [jwk, ...others.map(({ jwk }) => jwk).slice(0, 7), second.key().jwk]
      assert.strictEqual(yield* fault(yield* signed({ header: { kid: undefined } })), "BadSignature")
    }))

  it.live("make a new key unavailable, not unknown, while the issuer is down", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer, move } = yield* opened()
      yield* faultOf(yield* fresh)
      yield* issuer.rotate()
      issuer.state.fault = "down"
      move(30_000)
      assert.strictEqual(yield* faultOf(yield* fresh), "KeysUnavailable")
    }))

  it.effect("are not there after 10 seconds in which the issuer does not answer", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer } = yield* opened()
      issuer.state.fault = "hang"
      const waiting = yield* Effect.forkChild(faultOf(yield* fresh))
      yield* TestClock.withLive(until(() => issuer.state.held, ({ length }) => length === 1))
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(waiting), "KeysUnavailable")
    }))

  it.live("have a bounded number of tokens wait for them", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, issuer } = yield* opened()
      issuer.state.fault = "hang"
      const token = yield* fresh
      const waiting = yield* Effect.forEach(
        Array.from({ length: 1024 }),
        () => Effect.forkChild(faultOf(token), { startImmediately: true })
      )
      assert.strictEqual(yield* faultOf(token), "Busy")
      yield* until(() => issuer.state.held, ({ length }) => length === 1)
      for (const answer of issuer.state.held) answer()
      const faults = yield* Effect.forEach(waiting, Fiber.join)
      assert.deepStrictEqual(new Set(faults), new Set([undefined]))
      assert.isUndefined(yield* faultOf(token))
    }))

  for (
    const [title, metadata] of [
      ["of another issuer", { issuer: "https://other.example.com" }],
      ["without a URL of keys", { jwks_uri: 7 }],
      ["with a URL that others can read", { jwks_uri: "http://keys.example.com/keys" }],
      ["with a URL of a file", { jwks_uri: "file:///etc/passwd" }]
    ] as const
  ) {
    it.live(`are not read after metadata ${title}`, () =>
      Effect.gen(function*() {
        const { faultOf, fresh, issuer } = yield* opened()
        issuer.state.metadata = metadata
        assert.strictEqual(yield* faultOf(yield* fresh), "KeysUnavailable")
        assert.strictEqual(issuer.readsOf(keySetPath), 0)
      }))
  }
})

describe("tokens that were accepted", () => {
  it.live("are remembered up to a bound, beyond which the least recently used one is forgotten", () =>
    Effect.gen(function*() {
      const { faultOf, fresh, tokens } = yield* opened()
      const [first, second, third, fourth] = yield* Effect.all([fresh, fresh, fresh, fresh])
      for (const token of [first, second, third]) yield* faultOf(token)
      assert.isDefined(tokens.recall(first))
      yield* faultOf(fourth)
      assert.deepStrictEqual(
        [first, second, third, fourth].map((token) => tokens.recall(token) !== undefined),
        [true, false, true, true]
      )
    }))
})
