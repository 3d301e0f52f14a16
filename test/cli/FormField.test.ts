/**
 * Fields of forms, and names of files, that servers choose.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Attachment from "@mcp-sessions/cli/Attachment"
import { fieldsOf } from "@mcp-sessions/cli/FormField"
import { Effect, Result, Schema } from "effect"

const fieldOf = (schema: unknown) => {
  const [field] = fieldsOf({ type: "object", properties: { key: schema } })
  if (field === undefined) throw new Error("the schema has one property")
  return field
}

describe("a field of a form", () => {
  const table: ReadonlyArray<readonly [schema: unknown, text: string, expected: unknown]> = [
    [{ type: "string" }, "a", "a"],
    [{ type: "string", minLength: 2 }, "a", undefined],
    [{ type: "string", maxLength: 1 }, "👍", "👍"],
    [{ type: "string", format: "email" }, "a@b", "a@b"],
    [{ type: "string", format: "email" }, "ab", undefined],
    [{ type: "string", format: "uri" }, "https://a", "https://a"],
    [{ type: "string", format: "uri" }, "a b", undefined],
    [{ type: "string", format: "date" }, "2026-02-28", "2026-02-28"],
    [{ type: "string", format: "date" }, "2026-13-01", undefined],
    [{ type: "string", format: "date-time" }, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"],
    [{ type: "string", format: "toString" }, "any", "any"],
    [{ type: "number" }, "1.5e3", 1500],
    [{ type: "number" }, "1.5.1", undefined],
    [{ type: "number" }, "Infinity", undefined],
    [{ type: "integer" }, "1.5", undefined],
    [{ type: "integer" }, "9007199254740993", undefined],
    [{ type: "integer", minimum: 1, maximum: 3 }, "3", 3],
    [{ type: "integer", minimum: 1, maximum: 3 }, "4", undefined],
    [{ type: "boolean" }, "Yes", true],
    [{ type: "boolean" }, "false", false],
    [{ type: "boolean" }, "2", undefined],
    [{ type: "string", enum: ["1", "2"] }, "2", "2"],
    [{ type: "string", enum: ["x", "y"], enumNames: ["Ex", "Why"] }, "why", "y"],
    [{ type: "string", enum: ["x", "y"] }, "1", "x"],
    [{ type: "string", enum: ["x", "y"] }, "3", undefined],
    [{ type: "string", oneOf: [{ const: "x", title: "Ex" }] }, "Ex", "x"],
    [{ type: "array", items: { enum: ["x", "y"] } }, "y, 1, y", ["y", "x"]],
    [{ type: "array", items: { enum: ["x", "y"] }, maxItems: 1 }, "x,y", undefined],
    [{ type: "array", items: { enum: ["x"] } }, "z", undefined],
    [null, "any", "any"]
  ]
  for (const [schema, text, expected] of table) {
    it(`of ${JSON.stringify(schema)} ${expected === undefined ? "rejects" : "accepts"} ${text}`, () => {
      const value = fieldOf(schema).parse(text)
      if (expected !== undefined) assert.deepStrictEqual(Result.getOrThrow(value), expected)
      else assert.strictEqual(Result.getOrThrow(Result.flip(value)), `expected ${fieldOf(schema).expected}`)
    })
  }

  it("is hidden if its name or title is that of a secret", () => {
    for (const key of ["password", "api_key", "API key", "accessToken", "client_secret", "pin", "otp"]) {
      assert.isTrue(fieldsOf({ properties: { [key]: {} } })[0]?.isSecret, key)
    }
    assert.isTrue(fieldOf({ title: "Your passphrase" }).isSecret)
    assert.isTrue(fieldOf({ format: "password" }).isSecret)
    for (const key of ["name", "pineapple", "compass"]) {
      assert.isFalse(fieldsOf({ properties: { [key]: {} } })[0]?.isSecret, key)
    }
  })
})

describe("the name of a file", () => {
  const nameOf = (uri: string, mimeType?: string) => Attachment.ofResource({ uri, mimeType, text: "" })?.fileName

  it("comes from the end of the URI, and from the type", () => {
    assert.strictEqual(nameOf("file:///a/b%20c.md?x=1#y"), "b_c.md")
    assert.strictEqual(nameOf("note://naïve", "text/markdown; charset=utf-8"), "naïve.md")
    assert.strictEqual(nameOf("note://", "application/x-unknown"), "note_.bin")
    assert.strictEqual(nameOf("", "constructor"), "resource.bin")
    assert.strictEqual(nameOf("file:///CON"), "_CON.txt")
    assert.strictEqual(nameOf("file:///100%"), "100_.txt")
  })

  it.effect.prop(
    "is no path, hidden file, or longer than the file system takes, whatever the URI",
    [Schema.String, Schema.Array(Schema.Int)],
    ([text, codes]) =>
      Effect.sync(() => {
        const points = codes.map((code) => Math.abs(code) % 0x110000)
        for (
          const uri of [
            text,
            encodeURIComponent(text.replaceAll(/\p{Cs}/gu, "")),
            String.fromCodePoint(...points),
            `a/${text}/..`
          ]
        ) {
          const name = nameOf(uri) ?? ""
          assert.match(name, /^(?![._]{2})[\p{L}\p{N}_][\p{L}\p{N}._-]*\.[\p{L}\p{N}]+$/u)
          assert.isAtMost(Buffer.byteLength(name), 255 + 4)
        }
      }),
    { arbitrary: { seed: 1 } }
  )
})
