/**
 * Fingerprints of definitions.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Digest } from "effect/crypto"
import { createHash } from "node:crypto"
import * as fingerprint from "../../../packages/core/src/internal/toolkit/fingerprint.ts"
import { tool } from "../../fixtures/toolServer.ts"

const hashed = (value: unknown) =>
  fingerprint.make.pipe(Effect.flatMap((of) => of(value)), Effect.provide(Digest.layerWebCrypto))

const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).toReversed().map(([key, member]) => [key, reversed(member)]))
    : value

describe("fingerprints", () => {
  it.effect("are the SHA-256 of JSON with sorted keys", () =>
    Effect.gen(function*() {
      const expected = createHash("sha256").update("{\"a\":[1,null,\"\\u00e4\"],\"b\":{}}").digest("hex")
      assert.strictEqual(yield* hashed({ b: {}, a: [1, null, "ä"] }), expected)
    }))

  it.effect.prop("do not depend on the order of keys", [Schema.Json], ([value]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* hashed(reversed(value)), yield* hashed(value))
    }))

  it.effect.prop("differ for different values", [Schema.Json, Schema.Json], ([one, other]) =>
    Effect.gen(function*() {
      const isSame = fingerprint.canonicalOf(one) === fingerprint.canonicalOf(other)
      assert.strictEqual((yield* hashed(one)) === (yield* hashed(other)), isSame)
    }))

  it.effect.prop(
    "are of JSON that is read back as the same value",
    [Schema.Json],
    ([value]) =>
      Effect.sync(() =>
        assert.deepStrictEqual(JSON.parse(fingerprint.canonicalOf(value)), JSON.parse(JSON.stringify(value)))
      )
  )

  it("of a definition are of what models and users read, and not of icons and metadata", () => {
    const plain = tool("read")
    const pinned = (more: object) => fingerprint.canonicalOf(fingerprint.pinnedParts({ ...plain, ...more }))
    assert.strictEqual(pinned({ _meta: { seen: 1 }, icons: [{ src: "data:," }] }), pinned({}))
    for (
      const more of [{ description: "other" }, { title: "Read" }, { annotations: { readOnlyHint: true } }, {
        outputSchema: { type: "object" }
      }]
    ) {
      assert.notStrictEqual(pinned(more), pinned({}))
    }
  })
})
