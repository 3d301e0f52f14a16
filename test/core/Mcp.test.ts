/**
 * The functions that read results.
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

describe("Mcp.parts", () => {
  const image = { type: "image" as const, data: "AA==", mimeType: "image/png" }

  it("reads text and files of results, resources and prompts in order", () => {
    const result: Mcp.CallToolResult = {
      content: [
        image,
        { type: "text", text: "one" },
        { type: "audio", data: "AQ==", mimeType: "audio/wav" },
        { type: "resource", resource: { uri: "file:///a", text: "embedded" } },
        { type: "resource_link", uri: "file:///b", name: "b", description: "the second" }
      ]
    }
    assert.deepStrictEqual(Mcp.parts(result), [
      { type: "file", mediaType: "image/png", data: "AA==" },
      { type: "text", text: "one" },
      { type: "file", mediaType: "audio/wav", data: "AQ==" },
      { type: "text", text: "embedded" },
      { type: "text", text: "b\nthe second\nfile:///b" }
    ])
    assert.deepStrictEqual(Mcp.parts({ contents: [{ uri: "file:///c", blob: "AA==" }, { uri: "d", text: "four" }] }), [
      { type: "file", mediaType: "application/octet-stream", data: "AA==", uri: "file:///c" },
      { type: "text", text: "four" }
    ])
    assert.deepStrictEqual(Mcp.parts({ messages: [{ role: "user", content: image }] }), [
      { type: "file", mediaType: "image/png", data: "AA==" }
    ])
  })

  it("skips incomplete blocks, and reads blocks of unknown types as JSON", () => {
    const blocks = [
      null,
      1,
      "text",
      [],
      { type: "text" },
      { type: "image", data: 1 },
      { type: "resource" },
      { type: "resource", resource: {} },
      { type: "resource_link" },
      { type: "video", at: 1 }
    ]
    assert.deepStrictEqual(Mcp.parts({ content: blocks } as unknown as Mcp.CallToolResult), [
      { type: "text", text: "{\"type\":\"video\",\"at\":1}" }
    ])
    for (const nothing of [{}, { content: "text" }, { messages: [null, {}] }, { contents: [1, {}] }]) {
      assert.deepStrictEqual(Mcp.parts(nothing as unknown as Mcp.CallToolResult), [])
    }
  })

  it("lets images and structured content be read alone", () => {
    const result: Mcp.CallToolResult = { content: [{ type: "text", text: "one" }, image], structuredContent: { n: 1 } }
    assert.deepStrictEqual(Mcp.images(result), [{ type: "file", mediaType: "image/png", data: "AA==" }])
    assert.deepStrictEqual(Mcp.structured(result), { n: 1 })
    assert.isUndefined(Mcp.structured({ content: [] }))
  })
})
