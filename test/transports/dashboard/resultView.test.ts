import { assert, describe, it } from "@effect/vitest"
import type { Mcp } from "@mcp-sessions/core"
import { Exit } from "effect"
import { resultView, toolViews } from "../../../packages/transports/src/internal/dashboard/resultView.ts"
import { RpcError } from "../../../packages/transports/src/internal/gateway/protocol/rpc.ts"

const blocksOf = (result: unknown) => resultView(Exit.succeed(result), 1).blocks

const tool = (name: string, rest: Partial<Mcp.Tool> = {}): Mcp.Tool => ({
  name,
  inputSchema: { type: "object" },
  ...rest
})

describe("the view of a result", () => {
  it("cuts long texts, and says so", () => {
    const [block] = blocksOf({ content: [{ type: "text", text: "x".repeat(200_000) }] })
    assert.deepInclude(block, { type: "text", isCut: true })
    assert.isAtMost(block?.type === "text" ? block.text.length : 0, 100_000)
  })

  it("holds at most 100 blocks and 2 MiB of images, and says what it leaves out", () => {
    const many = blocksOf({ content: Array.from({ length: 150 }, () => ({ type: "text", text: "x" })) })
    assert.strictEqual(many.length, 101)
    assert.deepStrictEqual(many.at(-1), { type: "note", text: "50 more blocks" })
    const data = "A".repeat(1024 ** 2)
    const images = blocksOf({ content: [1, 2, 3].map(() => ({ type: "image", mimeType: "image/png", data })) })
    assert.deepStrictEqual(images.map(({ type }) => type), ["image", "image", "note"])
  })

  it("shows no image of another type, nor one whose data is not base64", () => {
    const views = blocksOf({
      content: [
        { type: "image", mimeType: "image/svg+xml", data: "AAAA" },
        { type: "image", mimeType: "image/png\" onerror=\"x", data: "AAAA" },
        { type: "image", mimeType: "image/png", data: "\" onerror=\"x" }
      ]
    })
    assert.deepStrictEqual(views.map(({ type }) => type), ["note", "note", "note"])
  })

  it("takes anything that a server may send for a result", () => {
    for (const result of [null, 1, "text", [], {}, { content: 1 }, { content: [null, 1, { type: "text", text: 1 }] }]) {
      for (const { type } of blocksOf(result)) assert.strictEqual(type, "json")
    }
  })

  it("says how far a failed call got, by the data of the gateway alone", () => {
    const view = (data: unknown) => resultView(Exit.fail(new RpcError({ code: -32_010, message: "m", data })), 1)
    assert.deepInclude(view({ reason: "OutcomeUnknown", delivery: "Unknown" }), {
      outcome: "Failed",
      delivery: "Unknown",
      reason: "OutcomeUnknown"
    })
    for (const data of [undefined, null, [], { reason: "x" }, { delivery: 1, reason: 2 }]) {
      assert.deepInclude(view(data), { delivery: "Answered", reason: "JSON-RPC -32010" })
    }
  })
})

describe("the view of tools", () => {
  it("holds at most 1000, without descriptions and schemas beyond their limits", () => {
    const views = toolViews([
      tool("a", {
        description: "x".repeat(10_000),
        inputSchema: { type: "object", properties: { a: { description: "x".repeat(100_000) } } }
      }),
      ...Array.from({ length: 2000 }, (_, n) => tool(String(n)))
    ])
    assert.strictEqual(views.length, 1000)
    assert.isUndefined(views[0]?.schema)
    assert.isAtMost(views[0]?.description?.length ?? 0, 4000)
  })
})
