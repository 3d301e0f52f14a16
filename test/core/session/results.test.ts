/**
 * Results as far as they can be typed: what a tool returned is never lost for the shape of one block.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import {
  decodeCompletion,
  decodePromptResult,
  decodeResourceResult,
  decodeToolResult
} from "../../../packages/core/src/internal/session/results.ts"

const fails = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.isFailure(exit)

describe("the result of a tool", () => {
  const contentOf = (result: object): unknown => {
    const exit = decodeToolResult(result)
    return Exit.isSuccess(exit) ? exit.value.content : "invalid"
  }

  it("is passed on as it is if its blocks are objects, whatever they hold", () => {
    const result = {
      content: [
        { type: "text", text: "order 17 placed" },
        { type: "image", mimeType: "image/png" },
        { type: "resource", resource: null },
        { type: "video", data: "AAAA" },
        { type: 7 },
        { text: "without a type" },
        {}
      ],
      isError: true,
      _meta: { trace: "1" }
    }
    assert.deepStrictEqual(decodeToolResult(result), Exit.succeed(result) as never)
  })

  it("has no content if the server sends none, beside structured content or not", () => {
    for (const result of [{ structuredContent: { order: 17 } }, { isError: true }, { content: null }, {}]) {
      assert.deepStrictEqual(contentOf(result), [])
    }
    assert.deepInclude(Exit.getSuccess(decodeToolResult({ structuredContent: { order: 17 } })), {
      value: { structuredContent: { order: 17 }, content: [] }
    })
  })

  it("keeps blocks that are not objects as text", () => {
    assert.deepStrictEqual(contentOf({ content: ["paid", null, 7, ["x"], { type: "text", text: "!" }] }), [
      { type: "text", text: "paid" },
      { type: "text", text: "null" },
      { type: "text", text: "7" },
      { type: "text", text: "[\"x\"]" },
      { type: "text", text: "!" }
    ])
  })

  it.effect.prop(
    "has a list of objects as its content, or is invalid",
    [Schema.Json],
    ([content]) =>
      Effect.sync(() => {
        const exit = decodeToolResult({ content })
        assert.strictEqual(Exit.isSuccess(exit), content === null || Array.isArray(content))
        if (Exit.isSuccess(exit)) { for (const block of exit.value.content) assert.isObject(block) }
      }),
    { arbitrary: { seed: 1 } }
  )

  it("is invalid if it is not an object, or its content not a list", () => {
    const deep = { content: [JSON.parse(`${"[".repeat(5000)}${"]".repeat(5000)}`)] }
    for (const result of [undefined, null, "paid", 7, [], deep, { content: 7 }, { content: "paid" }, { content: {} }]) {
      const exit = decodeToolResult(result)
      assert.isTrue(fails(exit))
      assert.include(JSON.stringify(exit), "InvalidResult")
    }
  })
})

describe("the result of a read", () => {
  it("is invalid if it is not a list of objects", () => {
    for (const list of [undefined, null, 7, {}, [null], ["x"]]) {
      assert.isTrue(fails(decodeResourceResult({ contents: list })))
      assert.isTrue(fails(decodePromptResult({ messages: list })))
    }
    assert.isFalse(fails(decodeResourceResult({ contents: [{}] })))
    assert.isFalse(fails(decodePromptResult({ messages: [{}] })))
  })

  it("is invalid if a completion has no list of texts", () => {
    for (const completion of [undefined, null, {}, { values: [1] }]) {
      assert.isTrue(fails(decodeCompletion({ completion })))
    }
    assert.isFalse(fails(decodeCompletion({ completion: { values: ["x"] } })))
  })
})
