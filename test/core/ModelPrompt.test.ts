/**
 * Prompts, resources and results as prompts of `effect/ai`.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, ModelPrompt } from "@mcp-sessions/core"
import { Effect, Schema } from "effect"
import { Prompt } from "effect/ai"

const image = { type: "image" as const, data: "iVBORw0KGgo=", mimeType: "image/png" }

describe("prompts for models", () => {
  it.effect("keep the roles, text and files of the messages of a server, and can be stored", () =>
    Effect.gen(function*() {
      const prompt = ModelPrompt.fromPrompt({
        messages: [
          { role: "user", content: { type: "text", text: "look" } },
          { role: "user", content: image },
          { role: "assistant", content: { type: "text", text: "I see" } }
        ]
      })
      const stored = yield* Schema.encodeEffect(Prompt.Prompt)(prompt)
      assert.deepStrictEqual(
        stored.content.map((
          { content, role }
        ) => [role, typeof content === "string" ? content : content.map(({ type }) => type)]),
        [["user", "look"], ["user", ["file"]], ["assistant", "I see"]]
      )
    }))

  it("are made of the contents of a resource", () => {
    const resource = {
      contents: [{ uri: "a.txt", text: "one" }, { uri: "a.png", blob: "AA==", mimeType: "image/png" }]
    }
    const [message] = ModelPrompt.fromResource(resource).content
    assert(message?.role === "user")
    assert.deepStrictEqual(
      message.content.map((part) => part.type === "text" ? part.text : [part.mediaType, part.fileName, part.data]),
      ["one", ["image/png", "a.png", "AA=="]]
    )
  })

  it("show the structured content of a result that has no other", () => {
    const result: Mcp.CallToolResult = { content: [], structuredContent: { n: 1 } }
    const said = (output?: ModelPrompt.ModelOutput) =>
      ModelPrompt.fromResult({ result, output }).map((part) => part.type === "text" ? part.text : part.mediaType)
    assert.deepStrictEqual([said(), said("structured"), said("text")], [["{\"n\":1}"], ["{\"n\":1}"], [""]])
  })
})
