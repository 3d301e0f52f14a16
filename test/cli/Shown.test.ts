/**
 * Text of servers on a terminal, and results of any shape.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Content from "@mcp-sessions/cli/Content"
import * as Shown from "@mcp-sessions/cli/Shown"
import * as Table from "@mcp-sessions/cli/Table"
import { ExactNumbers } from "@mcp-sessions/transports"
import { Effect, Option, Schema } from "effect"

/** What a terminal obeys, or does not show. */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|[\u{E0100}-\u{E01EF}\u034F\u115F\u3164]/u

const evil = [
  ["a newline", "a\nb", "a\\nb"],
  ["a carriage return", "a\rb", "a\\rb"],
  ["an escape sequence", "\u001b[2Ja", "\\u001b[2Ja"],
  ["a C1 control", "\u009b2Ja", "\\u009b2Ja"],
  ["delete", "\u007f", "\\u007f"],
  ["an override of the direction", "\u202ea", "\\u202ea"],
  ["an isolate", "\u2066a\u2069", "\\u2066a\\u2069"],
  ["a space without width", "a\u200bb", "a\\u200bb"],
  ["a joiner between letters", "a\u200db", "a\\u200db"],
  ["a byte order mark", "\ufeffa", "\\ufeffa"],
  ["a soft hyphen", "a\u00adb", "a\\u00adb"],
  ["a tag", "a\u{e0041}", "a\\u{e0041}"],
  ["a variation selector", "a\ufe0fb\u{e0101}", "a\\ufe0fb\\u{e0101}"],
  ["a line separator", "a\u2028b", "a\\u2028b"],
  ["a filler", "a\u3164b", "a\\u3164b"],
  ["half a character", "a\ud800b", "a\\ud800b"]
] as const

describe("a name on a terminal", () => {
  for (const [title, text, shown] of evil) {
    it(`shows ${title} escaped`, () => {
      assert.strictEqual(Shown.name(text).text, shown)
      assert.strictEqual(Shown.line`x ${text} y`.text, `x ${shown} y`)
      if (!/[\n\t]/.test(text)) assert.strictEqual(Shown.content(text).text, shown)
      assert.strictEqual(JSON.parse(Shown.json(JSON.stringify(text)).text), text)
      assert.notMatch(Shown.json(JSON.stringify(text)).text, hidden)
    })
  }

  it("keeps letters of all scripts and emoji", () => {
    for (const text of ["naïve Ελληνικά 日本語 עברית", "❤️ 1️⃣ 🎉 👍🏽"]) assert.strictEqual(Shown.name(text).text, text)
  })

  it.effect.prop(
    "has one line without hidden characters, whatever the text",
    [Schema.String, Schema.Array(Schema.Int)],
    ([text, codes]) =>
      Effect.sync(() => {
        const all = text + String.fromCodePoint(...codes.map((code) => Math.abs(code) % 0x110000))
        const rows = Table.columns([[Shown.name(all), Shown.name("b")], [Shown.name("a"), Shown.name(all)]])
        for (const { text } of [Shown.name(all), ...rows]) assert.notMatch(text, hidden)
      }),
    { arbitrary: { seed: 1 } }
  )
})

describe("the content of a result on a terminal", () => {
  it("keeps line breaks and tabs", () => {
    assert.strictEqual(Shown.content("a\r\n\tb\nc").text, "a\n\tb\nc")
    assert.strictEqual(Shown.content("a\rb").text, "a\\rb")
  })

  it("keeps joiners within emoji and within words of scripts that need them", () => {
    const text = "👨‍👩‍👧 می‌خواهم क्‍ष"
    assert.strictEqual(Shown.content(text).text, text)
  })
})

describe("columns", () => {
  it("count what is visible", () => {
    const coloured = Shown.trusted("\u001b[1mab\u001b[0m")
    const rows = Table.columns([[coloured, Shown.name("x")], [Shown.name("abcd"), Shown.name("y")]])
    assert.deepStrictEqual(rows.map(({ text }) => text), ["\u001b[1mab\u001b[0m    x", "abcd  y"])
  })
})

describe("a result as text", () => {
  const table: ReadonlyArray<readonly [title: string, result: unknown, text: string]> = [
    ["text", { content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] }, "a\nb"],
    ["an image", { content: [{ type: "image", mimeType: "image/png", data: "AAAA" }] }, "[image image/png, 3 bytes]"],
    ["an image without a type", { content: [{ type: "image", data: "AAAA" }] }, "[image, 3 bytes]"],
    [
      "an image without data",
      { content: [{ type: "image", mimeType: "image/png" }] },
      "[unknown content of type \"image\"] {\"type\":\"image\",\"mimeType\":\"image/png\"}"
    ],
    [
      "a resource that is null beside text",
      { content: [{ type: "text", text: "a" }, { type: "resource", resource: null }] },
      "a\n[unknown content of type \"resource\"] {\"type\":\"resource\",\"resource\":null}"
    ],
    ["a resource", { content: [{ type: "resource", resource: { uri: "a:b", text: "c" } }] }, "c"],
    [
      "a binary resource",
      { content: [{ type: "resource", resource: { uri: "a:b", blob: "" } }] },
      "[resource a:b, 0 bytes]"
    ],
    ["a link", { content: [{ type: "resource_link", uri: "a:b" }] }, "[resource a:b]"],
    [
      "a type of a later revision",
      { content: [{ type: "video", data: "AAAA" }] },
      "[unknown content of type \"video\"] {\"type\":\"video\",\"data\":\"AAAA\"}"
    ],
    [
      "text that is an object",
      { content: [{ type: "text", text: { order: 17 } }] },
      "[unknown content of type \"text\"] {\"type\":\"text\",\"text\":{\"order\":17}}"
    ],
    [
      "blocks that are no objects",
      { content: [null, 5, "a"] },
      "[content without a type] null\n[content without a type] 5\n[content without a type] \"a\""
    ],
    ["structured content alone", { structuredContent: { a: 1 } }, "{\n  \"a\": 1\n}"],
    ["structured content beside an empty list", { content: [], structuredContent: 5 }, "5"],
    [
      "content that is no list",
      { content: { type: "text" } },
      "[unknown content of type \"text\"] {\"type\":\"text\"}"
    ],
    ["nothing", { content: [] }, ""],
    ["no object", null, "[content without a type] null"]
  ]
  for (const [title, result, text] of table) {
    it(`shows ${title}`, () => assert.strictEqual(Content.format(result), text))
  }

  it("cuts the JSON of what it cannot show", () => {
    const text = Content.format({ content: [{ type: "video", data: "A".repeat(1_000_000) }] })
    assert.isBelow(text.length, 3000)
    assert.isTrue(text.endsWith("…"))
  })

  it.effect.prop(
    "is text for any JSON",
    [Schema.Json, Schema.Json, Schema.Json],
    ([block, value, other]) =>
      Effect.sync(() => {
        const types = ["text", "image", "audio", "resource", "resource_link", "video"]
        const blocks = types.map((type) => ({
          type,
          text: value,
          data: other,
          resource: value,
          uri: block,
          mimeType: other
        }))
        const results = [block, { content: block }, { content: [block, ...blocks] }, { structuredContent: value }]
        for (const result of [...results, { content: [], structuredContent: other }]) {
          const text = Content.format(result)
          assert.isString(text)
          const json = JSON.stringify(result)
          for (const word of ["undefined", "[object Object]"]) if (!json.includes(word)) assert.notInclude(text, word)
        }
      }),
    { arbitrary: { seed: 1 } }
  )
})

describe("exact numbers", () => {
  const exact = [
    "0",
    "-0",
    "1",
    "1.0",
    "10e-1",
    "0.1",
    "1e2",
    "100000000000000000000",
    "9007199254740992",
    "1e300",
    "5e-324"
  ]
  const inexact = ["9007199254740993", "9007199254740993.0", "1e400", "-1e400", "1e-400", "0.1234567890123456789"]

  it("are ordinary numbers where JavaScript holds them", () => {
    for (const text of exact) assert.strictEqual(ExactNumbers.fromDecimal(text), Number(text), text)
  })

  it("are encoded as they were written where it does not", () => {
    for (const text of inexact) {
      assert.isTrue(ExactNumbers.isRawNumber(ExactNumbers.fromDecimal(text)), text)
      const json = `{"a":[${text}],"__proto__":{"b":${text}}}`
      assert.strictEqual(JSON.stringify(Option.getOrThrow(ExactNumbers.parse(json))), json)
    }
  })

  it("tell whole numbers from others", () => {
    const isWhole = (text: string) => ExactNumbers.isWhole(ExactNumbers.fromDecimal(text))
    assert.deepStrictEqual(
      ["1", "1.5", "9007199254740993.0", "9007199254740993.5", "1e400", "1e-400"].map(isWhole),
      [true, false, true, false, true, false]
    )
  })
})
