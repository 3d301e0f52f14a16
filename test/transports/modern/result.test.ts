/**
 * The results of 2026-07-28.
 */
import { assert, describe, it } from "@effect/vitest"
import { CLIENT_CAPABILITIES_META_KEY } from "@modelcontextprotocol/client"
import { decodeResult } from "../../../packages/transports/src/internal/modern/result.ts"

const decode = (result: unknown) => decodeResult({ method: "tools/call", params: {}, result })

describe("a result of 2026-07-28", () => {
  it("is complete without its resultType", () => {
    const result = { resultType: "complete", content: [], _meta: { x: 1 } }
    assert.deepStrictEqual(decode(result), { _tag: "Complete", result: { content: [], _meta: { x: 1 } } })
  })

  const declared = {
    _meta: { [CLIENT_CAPABILITIES_META_KEY]: { extensions: { "io.modelcontextprotocol/tasks": {} } } }
  }
  const task = { resultType: "task", taskId: "t", status: "working" }

  it("is a task, as the server wrote it, where the call has declared that it knows tasks", () => {
    assert.deepStrictEqual(decodeResult({ method: "tools/call", params: declared, result: task }), {
      _tag: "Complete",
      result: task
    })
  })

  it("is no task where the request may not become one", () => {
    assert.strictEqual(decode(task)._tag, "Invalid")
    assert.strictEqual(decodeResult({ method: "prompts/get", params: declared, result: task })._tag, "Invalid")
  })

  it("is the status of a task with the type of a task, too", () => {
    const { resultType: _, ...status } = task
    assert.deepStrictEqual(decodeResult({ method: "tasks/get", params: declared, result: task }), {
      _tag: "Complete",
      result: status
    })
  })

  for (
    const result of [
      { inputRequests: { a: { method: "roots/list" } } },
      { requestState: "s" },
      { requestState: "" },
      { inputRequests: {}, requestState: "s" }
    ]
  ) {
    it(`asks for input with ${JSON.stringify(result)}`, () => {
      const raw = { resultType: "input_required", ...result }
      assert.deepStrictEqual(decode(raw), { _tag: "InputRequired", result: raw })
    })
  }

  for (
    const [result, fault] of [
      [undefined, "is not an object"],
      [null, "is not an object"],
      ["x", "is not an object"],
      [[], "is not an object"],
      [{ content: [] }, "has no resultType"],
      [{ resultType: "later" }, `has the unknown resultType "later"`],
      [{ resultType: null }, "has a resultType that is no string"],
      [{ resultType: 7 }, "has a resultType that is no string"],
      [{ resultType: "input_required" }, "asks for input without"],
      [{ resultType: "input_required", inputRequests: {} }, "asks for input without"],
      [{ resultType: "input_required", inputRequests: [1], requestState: 7 }, "asks for input without"]
    ] as const
  ) {
    it(`is invalid if it is ${JSON.stringify(result)}`, () => {
      const decoded = decode(result)
      assert.strictEqual(decoded._tag, "Invalid")
      if (decoded._tag === "Invalid") assert.include(decoded.reason.message, fault)
    })
  }
})
