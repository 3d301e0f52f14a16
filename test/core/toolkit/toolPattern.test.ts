/**
 * Patterns of tools.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { isMatch, matches, parse } from "../../../packages/core/src/internal/toolkit/toolPattern.ts"

const isOffered = (pattern: string, server: string, tool: string) =>
  matches({ patterns: [parse(pattern)], place: { server, tool } })

describe("patterns of tools", () => {
  it("stand for a tool, for several, or for all of a server", () => {
    assert.isTrue(isOffered("files/write_all", "files", "write_all"))
    assert.isTrue(isOffered("files/write_*", "files", "write_all"))
    assert.isTrue(isOffered("files", "files", "write_all"))
    assert.isTrue(isOffered("*/*_all", "files", "write_all"))
    assert.isFalse(isOffered("files/write", "files", "write_all"))
    assert.isFalse(isOffered("file/write_*", "files", "write_all"))
    assert.isFalse(isOffered("*/write", "files", "write_all"))
  })

  it("split at the first slash, because names of tools may have slashes", () => {
    assert.isTrue(isOffered("files/a/b", "files", "a/b"))
    assert.isFalse(isOffered("files/a/b", "files/a", "b"))
  })

  it("take other characters as they are", () => {
    assert.isFalse(isOffered("files/a.c", "files", "abc"))
    assert.isTrue(isOffered("files/a.[c]?", "files", "a.[c]?"))
  })

  it("match long texts in time that grows with their length", () => {
    assert.isFalse(isMatch({ pattern: `${"*a".repeat(200)}*b`, text: "a".repeat(5000) }))
  })

  const letters = Schema.Array(Schema.Literals(["a", "b", "*"])).check(Schema.isMaxLength(8))

  it.effect.prop(
    "mean what the regular expression with .* means",
    [letters, letters],
    ([pattern, text]) =>
      Effect.sync(() => {
        const plain = text.join("").replaceAll("*", "c")
        const expected = new RegExp(`^${pattern.join("").replaceAll("*", ".*")}$`).test(plain)
        assert.strictEqual(isMatch({ pattern: pattern.join(""), text: plain }), expected)
      })
  )
})
