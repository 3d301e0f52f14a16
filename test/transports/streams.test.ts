/**
 * Decoders of byte streams: their output is independent of chunk boundaries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type SseEvent, SseParser } from "../../packages/transports/src/internal/http/sseParser.ts"
import { Backoff } from "../../packages/transports/src/internal/http/streamBackoff.ts"
import * as Redactor from "../../packages/transports/src/internal/redactor.ts"
import { LineDecoder, type LineDecoderOptions } from "../../packages/transports/src/internal/stdio/lineDecoder.ts"

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

describe("server-sent events", () => {
  const parse = (text: string, cuts: ReadonlyArray<number> = []) => {
    const events: Array<SseEvent> = []
    const parser = new SseParser({ maxSize: 1000, onEvent: (event) => events.push(event) })
    let start = 0
    for (
      const cut of [...cuts.map((cut) => Math.abs(cut) % (text.length + 1)).toSorted((a, b) => a - b), text.length]
    ) {
      parser.push(text.slice(start, cut))
      start = cut
    }
    return { events, parser }
  }
  const stream =
    "\uFEFF: comment\r\nid: 7\r\nevent: message\r\ndata: one\r\ndata:two\r\n\r\nretry: 250\nid: 8\ndata:\n\ndata: three\r\rdata: lost"
  const expected = [{ event: "message", data: "one\ntwo" }, { event: "message", data: "three" }]

  it.effect.prop(
    "are decoded equally for any chunk boundaries",
    [Schema.Array(Schema.Int)],
    ([cuts]) =>
      Effect.sync(() => {
        const { events, parser } = parse(stream, cuts)
        assert.deepStrictEqual(events, expected)
        assert.strictEqual(parser.lastEventId, "8")
        assert.strictEqual(parser.retry, 250)
      }),
    { arbitrary: { seed: 1 } }
  )

  it("include the id of an event without data", () => {
    const { events, parser } = parse("id: start\nretry: 500\ndata: \n\n")
    assert.deepStrictEqual(events, [])
    assert.strictEqual(parser.lastEventId, "start")
  })

  it("include no id of an incomplete event", () => {
    assert.isUndefined(parse("id: 1\ndata: x\n").parser.lastEventId)
  })

  it("are refused beyond the limit, complete or not, and not before it", () => {
    const push = (text: string) => new SseParser({ maxSize: 10, onEvent: () => {} }).push(text)
    assert.isTrue(push("data:1234\n\ndata:1234\n\n"))
    assert.isFalse(push("data:12345678901\n\n"))
    assert.isFalse(push("data:123456"))
    assert.isFalse(push("data:123456\ndata:789012\n"))
  })

  it("are rejected when they consist of empty lines", () => {
    const push = (text: string) => new SseParser({ maxSize: 10, onEvent: () => {} }).push(text)
    assert.isFalse(push("data:\n".repeat(20)))
  })

  it.effect.prop(
    "keep all lines of their data, empty ones too, however many there are",
    [Schema.Array(Schema.Literals(["", "", "", "a", "b:c", " d"])), Schema.Array(Schema.Int)],
    ([some, cuts]) =>
      Effect.sync(() => {
        const lines = Array.from({ length: 50 }, () => some).flat()
        const data = lines.join("\n")
        const events: Array<string> = []
        const parser = new SseParser({ maxSize: 2 ** 20, onEvent: ({ data }) => events.push(data) })
        const text = `${lines.map((line) => `data: ${line}\n`).join("")}\n`
        let start = 0
        for (const cut of [...cuts.map((cut) => Math.abs(cut) % text.length).toSorted((a, b) => a - b), text.length]) {
          parser.push(text.slice(start, cut))
          start = cut
        }
        assert.deepStrictEqual(events, data === "" ? [] : [data])
        // Nothing is left over for the next event.
        parser.push("data: next\n\n")
        assert.strictEqual(events.at(-1), "next")
      }),
    { arbitrary: { seed: 1 } }
  )

  it("are refused beyond the limit whatever fields they consist of", () => {
    for (const line of ["data:", "data:x", "event: x", "id: x", "retry: 1", "other"]) {
      const parser = new SseParser({ maxSize: 1000, onEvent: () => {} })
      let count = 0
      while (parser.push(`${line}\n`)) assert.isBelow(++count, 1001, line)
    }
  })

  it("are decoded when they are long and arrive in small chunks", () => {
    const events: Array<number> = []
    const parser = new SseParser({ maxSize: 2 ** 25, onEvent: ({ data }) => events.push(data.length) })
    parser.push("data:")
    for (let i = 0; i < 2 ** 13; i++) parser.push("x".repeat(2 ** 10))
    parser.push("\n\n")
    assert.deepStrictEqual(events, [2 ** 23])
  })

  it("ignore ids with NUL and non-numeric retry fields", () => {
    const { parser } = parse("id: a\0b\nretry: 1e12\ndata: x\n\n")
    assert.isUndefined(parser.lastEventId)
    assert.isUndefined(parser.retry)
  })
})

describe("the redactor", () => {
  it("removes secrets anywhere in a text, the longest first", () => {
    const redact = Redactor.make(["s3cret", "s3cret-long", "abc"])
    assert.strictEqual(redact("x s3cret-long y s3crets abc"), "x <redacted> y <redacted>s abc")
  })
})

describe("the backoff of a stream", () => {
  it("doubles with each short stream, up to a minute, whatever the server requests", () => {
    const backoff = new Backoff()
    let now = 0
    const waits = Array.from({ length: 9 }, () => {
      const wait = backoff.next(now, 0)
      now += wait
      return wait
    })
    assert.deepStrictEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  })

  it("restarts after a long stream", () => {
    const backoff = new Backoff()
    backoff.next(0, undefined)
    assert.strictEqual(backoff.next(500, undefined), 1000)
    assert.strictEqual(backoff.next(200_000, undefined), 500)
  })

  it("follows the delay that the server requests, within bounds", () => {
    assert.strictEqual(new Backoff().next(0, 3000), 3000)
    assert.strictEqual(new Backoff().next(0, 1e12), 60_000)
    assert.strictEqual(new Backoff().next(0, Number.NaN), 500)
  })
})
