/**
 * Names of tools for models.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Digest } from "effect/crypto"
import * as fingerprint from "../../../packages/core/src/internal/toolkit/fingerprint.ts"
import { modelName, prefixed } from "../../../packages/core/src/internal/toolkit/toolNames.ts"

const named = (server: string, tool: string) =>
  Effect.gen(function*() {
    const digest = Context.get(yield* Layer.build(Digest.layerWebCrypto), Digest.Digest)
    const made = yield* Effect.provideService(fingerprint.make, Digest.Digest, digest)
    const place = { server, tool }
    return yield* modelName({ place, wanted: prefixed(place), fingerprint: made })
  })

describe("names of tools", () => {
  it.effect("that providers accept stay as they are", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* named("github", "list-issues"), "github_list-issues")
      assert.strictEqual(yield* named("s", "t".repeat(62)), `s_${"t".repeat(62)}`)
    }))

  it.effect("that providers refuse end with the fingerprint of their place", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* named("my server", "issues.list"), "my_server_issues_list_f3c9a7db52")
      assert.match(yield* named("s", "t".repeat(63)), /^s_t{51}_[0-9a-f]{10}$/)
      assert.notStrictEqual(yield* named("s", `${"t".repeat(99)}a`), yield* named("s", `${"t".repeat(99)}b`))
    }))

  it.effect.prop("are 1 to 64 characters that all providers accept, and always the same", [
    Schema.String,
    Schema.String
  ], ([server, tool]) =>
    Effect.gen(function*() {
      const name = yield* named(server, tool)
      assert.match(name, /^[A-Za-z0-9_-]{1,64}$/)
      assert.strictEqual(name, yield* named(server, tool))
    }))

  it.effect.prop(
    "of two tools of a server differ",
    [Schema.String, Schema.String.check(Schema.isMaxLength(200))],
    ([one, other]) =>
      Effect.gen(function*() {
        if (one === other) return
        assert.notStrictEqual(yield* named("server", one), yield* named("server", other))
      })
  )
})
