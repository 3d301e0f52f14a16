/**
 * Which texts of JSON may have numbers that JavaScript cannot hold, and how messages with them are encoded.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  encode,
  fromDecimal,
  isRaw,
  keep,
  mayBeInexact,
  parse
} from "../../packages/transports/src/internal/exactNumbers.ts"

const Digits = Schema.String.check(Schema.isPattern(/^\d{0,20}$/))

const Exponent = Schema.Union([Schema.Literal(""), Schema.String.check(Schema.isPattern(/^[eE][+-]?\d{1,4}$/))])

describe("a text of JSON", () => {
  it.prop(
    "may have a number that JavaScript cannot hold if there is one in it, wherever",
    [Digits, Digits, Exponent, Schema.String, Schema.Array(Schema.Finite)],
    ([whole, fraction, exponent, text, others]) => {
      const source = `${BigInt(whole || 0)}${fraction === "" ? "" : `.${fraction}`}${exponent}`
      const json = `[${JSON.stringify(text)},${others.map((n) => `${n},`).join("")}${source}]`
      if (isRaw(fromDecimal(source))) assert.isTrue(mayBeInexact(json), json)
    }
  )

  it("has none if all its numbers are exact, however many digits they have", () => {
    const exact = ["", "1", "9007199254740992", "0.30000000000000004", "1.7976931348623157e+308", "5e-324", "1e100"]
    for (const text of exact) {
      for (const padding of [0, 1, 7, 15, 16, 31]) {
        assert.isFalse(mayBeInexact(`[${" ".repeat(padding)}${text}]`), text)
      }
    }
    assert.isFalse(mayBeInexact(JSON.stringify({ id: "5d41402abc4b2a76b9719d911017c592", at: 1_764_536_000_000.5 })))
  })
})

describe("a message", () => {
  it("is encoded with the numbers that its server wrote, also in a copy of its outer objects", () => {
    keep()
    const text = `{"content":[],"structuredContent":{"id":9007199254740993,"list":[[1e400]],"plain":1}}`
    const message = parse(text) as object
    assert.strictEqual(encode(message), text)
    assert.strictEqual(encode({ ...message }), text)
  })

  it("is encoded as ordinary JSON if it has none of them", () => {
    keep()
    parse("[9007199254740993]")
    const message = { a: [1, null, { b: undefined, c: "9007199254740993" }] }
    assert.strictEqual(encode(message), JSON.stringify(message))
  })
})
