/**
 * Sealed ids: what opens them, and what does not.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/protocol/sealedIds.ts"
import { startGateway } from "../../fixtures/gateway.ts"

const [first, second] = [Redacted.make(randomBytes(32)), Redacted.make(randomBytes(32))]
const bound = { principal: "alice", route: "/mcp" }
const purpose = "session"

describe("a sealed id", () => {
  it("opens for its principal and route alone", () => {
    const ids = new SealedIds({ purpose, keys: [] })
    const id = ids.seal("name", bound)
    assert.strictEqual(ids.open(id, bound), "name")
    assert.isUndefined(ids.open(id, { ...bound, principal: "bob" }))
    assert.isUndefined(ids.open(id, { ...bound, route: "/other" }))
  })

  it("opens for its principal and route alone, however often others have opened, and after it was forgotten", () => {
    const ids = new SealedIds({ purpose, keys: [] })
    const id = ids.seal("name", bound)
    assert.strictEqual(ids.open(id, bound), "name")
    // More than are kept.
    for (let other = 0; other < 5000; other++) {
      assert.strictEqual(ids.open(ids.seal(`${other}`, bound), bound), `${other}`)
    }
    assert.isUndefined(ids.open(id, { ...bound, principal: "bob" }))
    for (let times = 0; times < 2; times++) {
      assert.strictEqual(ids.open(id, bound), "name")
      assert.isUndefined(ids.open(id, { ...bound, principal: "bob" }))
      assert.isUndefined(ids.open(id, { ...bound, route: "/other" }))
    }
  })

  it("of a process with a random key does not open in another process", () => {
    const id = new SealedIds({ purpose, keys: [] }).seal("name", bound)
    assert.isUndefined(new SealedIds({ purpose, keys: [] }).open(id, bound))
  })

  it("opens in every process that has its key", () => {
    const id = new SealedIds({ purpose, keys: [first] }).seal("name", bound)
    assert.strictEqual(new SealedIds({ purpose, keys: [first] }).open(id, bound), "name")
  })

  it("opens after its key was replaced, until that key is gone", () => {
    const id = new SealedIds({ purpose, keys: [first] }).seal("name", bound)
    const rotated = new SealedIds({ purpose, keys: [second, first] })
    assert.strictEqual(rotated.open(id, bound), "name")
    assert.isUndefined(new SealedIds({ purpose, keys: [second] }).open(id, bound))
    assert.strictEqual(
      new SealedIds({ purpose, keys: [second] }).open(rotated.seal("next", bound), bound),
      "next"
    )
  })

  it("of one purpose does not open as an id of another", () => {
    const id = new SealedIds({ purpose, keys: [first] }).seal("name", bound)
    assert.isUndefined(new SealedIds({ purpose: "requestState", keys: [first] }).open(id, bound))
  })

  it("does not open with any byte changed, or with its tag cut short", () => {
    const ids = new SealedIds({ purpose, keys: [first] })
    const bytes = Buffer.from(ids.seal("name", bound), "base64url")
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.isUndefined(ids.open(changed.toString("base64url"), bound))
      assert.isUndefined(ids.open(bytes.subarray(0, at).toString("base64url"), bound))
    }
  })
})

describe("the keys of session ids", () => {
  for (
    const [title, sessionKey] of [
      ["of 31 bytes", Redacted.make(randomBytes(31))],
      ["among which one is not redacted", [first, randomBytes(32)]],
      ["that are an empty list", []],
      ["beyond eight", Array.from({ length: 9 }, () => first)]
    ] as const
  ) {
    it.effect(`are refused ${title}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(startGateway({}, { sessionKey: sessionKey as typeof first }))
        if (error._tag !== "ConfigError") return assert.fail(error._tag)
        assert.deepStrictEqual(error.problems.map(({ path }) => path), [["sessionKey"]])
      }))
  }
})
