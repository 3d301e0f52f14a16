/**
 * The parser of server-sent events: its output is independent of chunk boundaries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type SseEvent, SseParser } from "../../../packages/transports/src/internal/http/sseParser.ts"

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
