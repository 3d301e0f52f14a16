import { assert, describe, it } from "@effect/vitest"
import { cut, name, trusted, widthOf } from "@mcp-sessions/cli/Shown"
import { wrap } from "@mcp-sessions/cli/WordWrap"
import { Effect, Schema } from "effect"

const texts = (text: string, columns: number) => wrap(trusted(text), columns).map(({ text }) => text)

describe("a line that is wider than the terminal", () => {
  it("breaks at words, and goes on a little further in than it began", () => {
    assert.deepStrictEqual(texts("error: the server is down", 14), ["error: the", "  server is", "  down"])
    assert.deepStrictEqual(texts("    | a b c d e f", 10), ["    | a b", "     c d e", "     f"])
  })

  it("goes on below its last cell if it is a row of a table", () => {
    assert.deepStrictEqual(texts("✓ files  stdio  lists and reads files", 32), [
      "✓ files  stdio  lists and reads",
      "                files"
    ])
  })

  it("is left whole where it has no words, so that an address can be opened", () => {
    const url = `https://example.com/${"a".repeat(60)}`
    assert.deepStrictEqual(texts(url, 20), [url])
    assert.deepStrictEqual(texts(`open ${url} now`, 20), ["open", `  ${url}`, "  now"])
  })

  it("breaks between characters of scripts without spaces, which take two columns, and before no punctuation", () => {
    assert.deepStrictEqual(texts("日本語の長い説明。", 8), ["日本語の", "  長い説", "  明。"])
    assert.deepStrictEqual(texts("日本語。", 6), ["日本", "  語。"])
  })

  it("keeps families of emoji together", () => {
    assert.deepStrictEqual(texts("👨‍👩‍👧 👨‍👩‍👧 👨‍👩‍👧", 5), ["👨‍👩‍👧 👨‍👩‍👧", "  👨‍👩‍👧"])
  })

  it("ends its colours before a break and begins them again after the indentation", () => {
    assert.deepStrictEqual(texts("\u001b[31mone \u001b[1mtwo\u001b[22m three\u001b[39m", 8), [
      "\u001b[31mone \u001b[1mtwo\u001b[22m\u001b[39m",
      "  \u001b[31mthree\u001b[39m"
    ])
  })

  it("takes a break in place of the space of a column, also where a colour begins", () => {
    const row = `x${" ".repeat(30)}\u001b[2mfile.json:1\u001b[22m`
    assert.deepStrictEqual(texts(row, 16), ["x", "  \u001b[2mfile.json:1\u001b[22m"])
    assert.deepStrictEqual(texts(`\u001b[1mx\u001b[22m${" ".repeat(30)}\u001b[2m\u001b[22mlast`, 16), [
      "\u001b[1mx\u001b[22m",
      "  last"
    ])
  })

  it.effect.prop(
    "has all its words in order, and no line beyond the width but those of one word",
    [Schema.Array(Schema.String), Schema.Int],
    ([words, seed]) =>
      Effect.sync(() => {
        const columns = 8 + Math.abs(seed) % 40
        const shown = name(words.join(" "))
        const lines = wrap(shown, columns)
        const joined = (text: string) => text.replaceAll(/\s+/g, "")
        assert.strictEqual(joined(lines.map(({ text }) => text).join("")), joined(shown.text))
        for (const { text, width } of lines) {
          assert.isTrue(width <= columns || !/\S\s+\S/.test(text.trim()), text)
        }
      }),
    { arbitrary: { seed: 1 } }
  )
})

describe("the width of a text", () => {
  it("is two columns for wide characters and emoji, and none for colours and accents", () => {
    const table = [["abc", 3], ["日本", 4], ["😀", 2], ["👨‍👩‍👧", 2], ["e\u0301", 1], [
      "\u001b[31mred\u001b[39m",
      3
    ]] as const
    for (const [text, width] of table) assert.strictEqual(widthOf(text), width, text)
  })

  it("is what a text is cut to, with a mark, and never within a character", () => {
    assert.strictEqual(cut(name("abcdef"), 4).text, "abc…")
    assert.strictEqual(cut(name("abcd"), 4).text, "abcd")
    assert.strictEqual(cut(name("日本語"), 4).text, "日…")
    assert.strictEqual(cut(trusted("👨‍👩‍👧👨‍👩‍👧"), 3).text, "👨‍👩‍👧…")
    assert.strictEqual(cut(name("abc"), 0).text, "")
    assert.strictEqual(cut(name("a".repeat(1e7)), 10).text, "aaaaaaaaa…")
  })
})
