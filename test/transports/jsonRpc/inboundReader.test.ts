/**
 * What is read of a text of a server: the messages in it, in the shape of the specification, and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Effect, Schema } from "effect"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { forClient, messagesIn, readMessages } from "../../../packages/transports/src/internal/jsonRpc/inboundReader.ts"
import {
  excessOf,
  maxDepth,
  maxMembers,
  maxValues,
  responseIdsOf
} from "../../../packages/transports/src/internal/jsonRpc/jsonBounds.ts"
import { SkippedTexts } from "../../../packages/transports/src/internal/jsonRpc/skippedTexts.ts"

const read = (text: string) => {
  const messages: Array<unknown> = []
  const skipped: Array<string> = []
  const hasMessage = readMessages(text, {
    onMessage: (message) => messages.push(message),
    onSkipped: (text) => skipped.push(text)
  })
  assert.strictEqual(hasMessage, messages.length > 0)
  return { messages, skipped }
}

const jsonrpc = "2.0"

const isInvalidResult = Schema.is(SessionError.InvalidResult)

/** The fault of a response that the reader found invalid. */
const faultOf = (message: unknown): string | undefined => {
  const { error } = message as { readonly error?: { readonly data?: unknown } }
  return isInvalidResult(error?.data) ? error.data.description : undefined
}

describe("the channels", () => {
  it("parse nothing that a server sends past the reader", () => {
    const root = join(import.meta.dirname, "../../../packages/transports/src/internal")
    const parsing = globSync("{stdio,http,sse,webSocket,channel}/*.ts", { cwd: root })
      .filter((file) => /JSON\.parse\(|exactNumbers/.test(readFileSync(join(root, file), "utf8")))
    assert.deepStrictEqual(parsing, [])
  })
})

describe("a text without a message", () => {
  const texts = [
    "ping",
    "{",
    "{}",
    "[]",
    "null",
    "7",
    "\"text\"",
    "[null, 1, \"x\", [], [[]], {}]",
    "{\"type\":\"heartbeat\"}",
    "{\"jsonrpc\":\"2.0\"}",
    "{\"jsonrpc\":\"2.0\",\"method\":5}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}",
    "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1e400,\"method\":\"ping\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":true,\"result\":{}}",
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}",
    "{\"id\":1,\"result\":{}}",
    "\0",
    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
  ]
  for (const text of texts) {
    it(`is skipped whole: ${JSON.stringify(text)}`, () => {
      assert.deepStrictEqual(read(text), { messages: [], skipped: [text] })
    })
  }

  it("is not reported if it is blank", () => {
    for (const text of ["", " ", "\r", "\t\n"]) assert.deepStrictEqual(read(text), { messages: [], skipped: [] })
  })

  it.effect.prop(
    "never throws, whatever it is",
    [Schema.String],
    ([text]) => Effect.sync(() => [text, `[${text}]`, `{"jsonrpc":"2.0",${text}}`].forEach(read)),
    { arbitrary: { seed: 1 } }
  )

  it.effect.prop(
    "gives only messages of the specified shape, whatever its members are",
    [Schema.Json, Schema.Json, Schema.Json, Schema.Json],
    ([id, method, result, error]) =>
      Effect.sync(() => {
        for (
          const value of [{ id, method }, { id, result }, { id, error }, { id, result, error }, {
            id,
            method,
            result,
            error
          }]
        ) {
          const { messages: [message] } = read(JSON.stringify({ jsonrpc, ...value }))
          if (message === undefined) continue
          const given = message as Record<string, unknown>
          assert.strictEqual(given.jsonrpc, jsonrpc)
          assert.include(["string", "number", "undefined"], typeof given.id)
          if ("method" in given) assert.isString(given.method)
          else assert.isTrue("result" in given !== "error" in given)
          if ("error" in given) {
            const { code, message: text } = given.error as { readonly code: unknown; readonly message: unknown }
            assert.isTrue(Number.isInteger(code))
            assert.isString(text)
          }
        }
      }),
    { arbitrary: { seed: 1 } }
  )
})

describe("a message", () => {
  const response = { jsonrpc, id: 1, result: { content: [] } }

  it("is read as it is if it follows the specification", () => {
    for (
      const message of [
        response,
        { jsonrpc, id: "probe-1", result: {} },
        { jsonrpc, id: 1, error: { code: -32601, message: "no such method", data: [] } },
        { jsonrpc, id: "p", method: "ping" },
        { jsonrpc, method: "notifications/message", params: { level: "info" } }
      ]
    ) assert.deepStrictEqual(read(JSON.stringify(message)), { messages: [message], skipped: [] })
  })

  it("is found behind white space and a byte order mark", () => {
    assert.deepStrictEqual(read(`\uFEFF \t${JSON.stringify(response)}\r`).messages, [response])
  })

  it("is found in a batch among other things, which are reported once", () => {
    const notification = { jsonrpc, method: "notifications/message" }
    const text = JSON.stringify([null, response, "x", [response], notification, 7])
    assert.deepStrictEqual(read(text), { messages: [response, notification], skipped: [text] })
    assert.deepStrictEqual(read(JSON.stringify([response])), { messages: [response], skipped: [] })
  })

  it("has the id that we gave if the server gives it back as text", () => {
    for (const id of ["1000000", "1000000.0"]) {
      assert.deepStrictEqual(read(JSON.stringify({ jsonrpc, id, result: {} })).messages, [{
        jsonrpc,
        id: 1e6,
        result: {}
      }])
    }
    for (const id of ["", " ", "x1", "1e6", "-1", "0x10"]) {
      assert.deepStrictEqual(read(JSON.stringify({ jsonrpc, id, result: {} })).messages, [{ jsonrpc, id, result: {} }])
    }
    // An id of the server is not ours to change.
    assert.deepStrictEqual(read(JSON.stringify({ jsonrpc, id: "7", method: "ping" })).messages, [
      { jsonrpc, id: "7", method: "ping" }
    ])
  })

  it("is an error where it has a result and an error that says something", () => {
    for (const error of [{ code: -32602, message: "n is required" }, "n is required"]) {
      const { messages: [message] } = read(JSON.stringify({ ...response, error }))
      assert.deepInclude((message as { readonly error: object }).error, { message: "n is required" })
      assert.notProperty(message, "result")
    }
    for (const error of [null, {}, false, 0, ""]) {
      assert.deepStrictEqual(read(JSON.stringify({ ...response, error })).messages, [response])
    }
  })

  it("keeps the words of an error that is not in the shape of the specification", () => {
    const errorOf = (error: unknown) =>
      (messagesIn(JSON.stringify({ jsonrpc, id: 1, error }))[0] as { error: unknown }).error
    assert.deepStrictEqual(errorOf("out of stock"), { code: 0, message: "out of stock" })
    assert.deepStrictEqual(errorOf({ message: "out of stock" }), {
      code: 0,
      message: "out of stock",
      data: { message: "out of stock" }
    })
    assert.deepStrictEqual(errorOf({ code: "E17", reason: "out of stock" }), {
      code: 0,
      message: "the server gave no message",
      data: { code: "E17", reason: "out of stock" }
    })
  })

  it("may be an error without an id", () => {
    const error = { code: -32700, message: "parse error" }
    for (const message of [{ jsonrpc, id: null, error }, { jsonrpc, error }]) {
      assert.deepStrictEqual(messagesIn(JSON.stringify(message)), [{ jsonrpc, error } as never])
    }
  })

  it("is a failure of its request if it has neither result nor error", () => {
    for (const message of [{ jsonrpc, id: 1 }, { jsonrpc, id: "1", error: null }, { jsonrpc, id: 1, extra: {} }]) {
      const { messages: [read_] } = read(JSON.stringify(message))
      assert.strictEqual(faultOf(read_), "the response has neither result nor error")
      assert.deepInclude(read_, { id: 1 })
    }
  })

  it("is a response although it repeats the method of its request", () => {
    assert.deepStrictEqual(read(JSON.stringify({ ...response, method: "tools/call" })).messages, [response])
  })

  it("loses params that are not an object, and an id that is null", () => {
    for (const params of [null, [], "x", 7]) {
      assert.deepStrictEqual(read(JSON.stringify({ jsonrpc, id: null, method: "a/b", params })).messages, [
        { jsonrpc, method: "a/b" }
      ])
    }
  })

  it("reaches the SDK's client with the members that the specification names, and a result that is an object", () => {
    assert.deepStrictEqual(forClient({ ...response, extra: 1 } as never), response as never)
    assert.deepStrictEqual(forClient({ jsonrpc, id: "p", method: "ping", extra: 1 } as never), {
      jsonrpc,
      id: "p",
      method: "ping"
    })
    assert.strictEqual(
      faultOf(forClient({ jsonrpc, id: 1, result: "x" } as never)),
      "the response has a result that is not an object"
    )
  })
})

describe("the bounds of JSON", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

  it("admit what is at the bound and refuse what is above it", () => {
    assert.isUndefined(excessOf(nested(maxDepth)))
    assert.strictEqual(excessOf(nested(maxDepth + 1)), `is nested more than ${maxDepth} levels deep`)
    assert.isUndefined(excessOf(`{${"\"\":0,".repeat(maxMembers - 1)}"":0}`))
    assert.strictEqual(excessOf(`{${"\"\":0,".repeat(maxMembers)}"":0}`), `has more than ${maxMembers} members`)
    assert.isUndefined(excessOf(`[${"0,".repeat(maxValues - 3)}0]`))
    assert.strictEqual(excessOf(`[${"0,".repeat(maxValues)}0]`), `has more than ${maxValues} values`)
  })

  it("do not count what is within a string", () => {
    const text = JSON.stringify({ text: "[{\\\":,".repeat(500_000) })
    assert.isUndefined(excessOf(text))
    assert.deepStrictEqual(Object.keys(JSON.parse(text)), ["text"])
  })

  it("do not count siblings as levels", () => {
    assert.isUndefined(excessOf(`[${"[{}],".repeat(10_000)}0]`))
  })

  it.effect.prop(
    "find the ids of responses wherever they are in the message",
    [Schema.Json, Schema.Json, Schema.Int, Schema.String],
    ([before, after, given, text]) =>
      Effect.sync(() => {
        // JSON has no negative zero.
        const id = given + 0
        const message = JSON.stringify({ before, [text]: text, jsonrpc, id, after, result: { id: 5 } })
        // A member of the same name as the id comes earlier, or is the id itself.
        assert.deepStrictEqual(responseIdsOf(message), [id])
        assert.deepStrictEqual(responseIdsOf(`[${message},null,[{"id":3}],${message}]`), [id, id])
        assert.deepStrictEqual(responseIdsOf(JSON.stringify({ jsonrpc, id, method: text, params: { before } })), [])
      }),
    { arbitrary: { seed: 1 } }
  )

  it("end the requests that an excessive text responds to, and skip the rest", () => {
    const deep = nested(100_000)
    const { messages } = read(`{"jsonrpc":"2.0","result":{"content":${deep}},"id":"1000000"}`)
    assert.deepInclude(messages[0], { id: 1_000_000 })
    assert.strictEqual(faultOf(messages[0]), `the response is nested more than ${maxDepth} levels deep`)
    const batch = read(`[${deep},{"jsonrpc":"2.0","id":7,"result":{}}]`)
    assert.deepInclude(batch.messages[0], { id: 7 })
    for (
      const text of [deep, `{"jsonrpc":"2.0","method":"a/b","params":{"x":${deep}}}`, `{"id":${deep},"jsonrpc":"2.0"}`]
    ) {
      assert.deepStrictEqual(read(text), { messages: [], skipped: [text] })
    }
  })
})

describe("skipped texts", () => {
  it("are counted, and the first is quoted in part, without secrets and control characters", () => {
    const skipped = new SkippedTexts((text) => text.replaceAll("s3cret", "<redacted>"))
    assert.deepStrictEqual(skipped.warnings("event"), [])
    skipped.add(`s3cret\u001b[2J${"x".repeat(1000)}`)
    assert.deepStrictEqual(skipped.warnings("event"), [
      `sent 1 event without a JSON-RPC message, first: "<redacted>\\u001b[2J${"x".repeat(186)}"`
    ])
    skipped.add("y")
    assert.match(skipped.warnings("frame")[0] ?? "", /^sent 2 frames without a JSON-RPC message, first: "<redacted>/)
  })
})
