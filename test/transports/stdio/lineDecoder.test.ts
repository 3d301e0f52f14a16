/**
 * The decoder of lines: its output is independent of chunk boundaries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { LineDecoder, type LineDecoderOptions } from "../../../packages/transports/src/internal/stdio/lineDecoder.ts"

const utf8: LineDecoderOptions = { encoding: "utf-8", errors: "replace", maxBytes: 1024 }

const decode = (bytes: Buffer, options: LineDecoderOptions, cuts: ReadonlyArray<number> = []) => {
  const lines: Array<string> = []
  const decoder = new LineDecoder(options, {
    onLine: (line) => lines.push(line),
    onFault: (fault) => lines.push(fault)
  })
  let start = 0
  for (
    const cut of [...cuts.map((cut) => Math.abs(cut) % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  ) {
    decoder.push(bytes.subarray(start, cut))
    start = cut
  }
  return lines
}

describe("lines", () => {
  const text = "{\"a\":\"hé🎉\"}\r\n\uFEFFsecond\n\n\u2028\u0085third\n"
  const expected = ["{\"a\":\"hé🎉\"}", "\uFEFFsecond", "", "\u2028\u0085third"]

  for (const encoding of ["utf-8", "utf-16le"] as const) {
    it.effect.prop(
      `are decoded equally for any chunk boundaries in ${encoding}`,
      [Schema.Array(Schema.Int)],
      ([cuts]) =>
        Effect.sync(() =>
          assert.deepStrictEqual(
            decode(Buffer.from(text, encoding), { ...utf8, encoding, errors: "strict" }, cuts),
            expected
          )
        ),
      { arbitrary: { seed: 1 } }
    )
  }

  it("are decoded equally byte by byte", () => {
    const bytes = Buffer.from(text)
    assert.deepStrictEqual(decode(bytes, utf8, Array.from(bytes, (_, index) => index)), expected)
  })

  it("lose a byte order mark at the beginning of the stream only", () => {
    assert.deepStrictEqual(decode(Buffer.from("\uFEFFa\n\uFEFFb\n"), utf8), ["a", "\uFEFFb"])
  })

  it("are not split at a UTF-16 character that contains the byte of a newline", () => {
    // U+010A and U+0A00 hold the byte 0x0A beside another one.
    const text = "\u010a\u0a00x\ny\n"
    assert.deepStrictEqual(decode(Buffer.from(text, "utf16le"), { ...utf8, encoding: "utf-16le" }), [
      "\u010a\u0a00x",
      "y"
    ])
  })

  it("decode every byte of latin1", () => {
    assert.deepStrictEqual(decode(Buffer.from([0xe9, 0xff, 10]), { ...utf8, encoding: "latin1" }), ["éÿ"])
  })

  const broken = Buffer.concat([Buffer.from("a\uFFFD"), Buffer.from([0xff, 0xc3]), Buffer.from("b\nnext\n")])

  it("are reported under strict when they do not decode, and the next line is decoded", () => {
    assert.deepStrictEqual(decode(broken, { ...utf8, errors: "strict" }), ["Undecodable", "next"])
  })

  it("keep replacement characters for bytes that do not decode under replace", () => {
    assert.deepStrictEqual(decode(broken, { ...utf8, errors: "replace" }), ["a\uFFFD\uFFFD\uFFFDb", "next"])
  })

  it("drop bytes that do not decode under ignore, and keep a U+FFFD that was sent", () => {
    assert.deepStrictEqual(decode(broken, { ...utf8, errors: "ignore" }), ["a\uFFFDb", "next"])
  })

  it("are refused beyond the limit, complete or not, and not before it", () => {
    const limited = { ...utf8, maxBytes: 4 }
    assert.deepStrictEqual(decode(Buffer.from("1234\n"), limited), ["1234"])
    assert.deepStrictEqual(decode(Buffer.from("12345\n"), limited), ["TooLong"])
    assert.deepStrictEqual(decode(Buffer.from("12345"), limited), ["TooLong"])
    assert.deepStrictEqual(decode(Buffer.from("12345"), limited, [2]), ["TooLong"])
  })
})
