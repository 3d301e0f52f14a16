import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { parseJson } from "../../../packages/core/src/internal/configFile/jsonText.ts"
import { valueOf } from "../../../packages/core/src/internal/configFile/node.ts"

const parsed = (text: string, mode: "strict" | "lenient" = "strict") =>
  Result.match(parseJson(text, mode), { onSuccess: valueOf, onFailure: (fault) => fault })

describe("the JSON parser", () => {
  it.prop("gives the values that JSON.parse gives", [Schema.Json], ([value]) => {
    for (const text of [JSON.stringify(value), JSON.stringify(value, undefined, 2)]) {
      assert.deepStrictEqual(parsed(text), JSON.parse(text))
    }
  })

  it.prop("accepts exactly the texts that JSON.parse accepts", [Schema.String], ([text]) => {
    const accepts = (candidate: string) => {
      try {
        JSON.parse(candidate)
        return true
      } catch {
        return false
      }
    }
    for (const candidate of [text, `"${text}"`, `[${text}]`, `{"k":${text}}`]) {
      assert.strictEqual(Result.isSuccess(parseJson(candidate, "strict")), accepts(candidate), candidate)
    }
  })

  it("reads comments and trailing commas only where they are allowed", () => {
    const text = "{ // one\n \"a\": [1, /* two */ 2,], }"
    assert.deepStrictEqual(parsed(text, "lenient"), { a: [1, 2] })
    assert.isTrue(Result.isFailure(parseJson(text, "strict")))
    assert.deepStrictEqual(parsed("{\"a\":1} x"), { offset: 8, expected: "the end of the text" })
  })

  it("refuses a document that is nested too deep before it runs out of stack", () => {
    assert.deepStrictEqual(parsed("[".repeat(200_000)), {
      offset: 64,
      expected: "at most 64 levels of lists and objects"
    })
  })
})
