/**
 * Suggestions of names.
 */
import { assert, describe, it } from "@effect/vitest"
import { Suggestion } from "@mcp-sessions/core"

describe("a suggestion", () => {
  it("is the most similar name, up to a third of its length away", () => {
    assert.strictEqual(Suggestion.closest("files_raed", ["files_write", "files_read", "files_reader"]), "files_read")
    assert.isUndefined(Suggestion.closest("search", ["files_read"]))
  })

  it("is not looked for beyond 256 characters, where the comparison would take too long", () => {
    const long = "x".repeat(256)
    assert.strictEqual(Suggestion.closest(`y${long.slice(1)}`, [long]), long)
    assert.isUndefined(Suggestion.closest(`y${long}`, [`z${long}`]))
    const names = Array.from({ length: 10_000 }, (_, index) => `${"x".repeat(50)}${index}`)
    assert.isUndefined(Suggestion.closest("x".repeat(1_000_000), names))
  })
})
