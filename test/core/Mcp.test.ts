/**
 * Mcp.text extracts the text of results.
 */
import { assert, describe, it } from "@effect/vitest"
import { Mcp } from "@mcp-sessions/core"

describe("Mcp.text", () => {
  it("joins the text blocks of a tool result by newlines", () => {
    const result: Mcp.CallToolResult = {
      content: [
        { type: "text", text: "one" },
        { type: "image", data: "", mimeType: "image/png" },
        { type: "resource", resource: { uri: "file:///a", text: "embedded" } },
        { type: "text", text: "two" }
      ]
    }
    assert.strictEqual(Mcp.text(result), "one\ntwo")
  })

  it("reads the text contents of a resource and skips its blobs", () => {
    const result = { contents: [{ uri: "a", text: "one" }, { uri: "a", blob: "AA==" }, { uri: "a", text: "two" }] }
    assert.strictEqual(Mcp.text(result), "one\ntwo")
  })

  it("reads the text messages of a prompt", () => {
    const result: Mcp.GetPromptResult = {
      messages: [
        { role: "user", content: { type: "text", text: "one" } },
        { role: "assistant", content: { type: "image", data: "", mimeType: "image/png" } },
        { role: "assistant", content: { type: "text", text: "two" } }
      ]
    }
    assert.strictEqual(Mcp.text(result), "one\ntwo")
  })

  it("skips blocks of a shape that the protocol does not know", () => {
    const blocks = [null, 1, "text", [], {}, { type: "text" }, { type: "text", text: 1 }, { type: "text", text: "one" }]
    for (const key of ["content", "contents"]) {
      assert.strictEqual(Mcp.text({ [key]: blocks } as unknown as Mcp.CallToolResult), "one")
    }
    const messages = [null, 1, {}, ...blocks.map((content) => ({ role: "user", content }))]
    assert.strictEqual(Mcp.text({ messages } as unknown as Mcp.GetPromptResult), "one")
    for (const nothing of [{}, { content: "text" }, { content: undefined }, { messages: {} }]) {
      assert.strictEqual(Mcp.text(nothing as unknown as Mcp.CallToolResult), "")
    }
  })
})
