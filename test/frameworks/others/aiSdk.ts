/** The AI SDK. */
import { AiSdk } from "@mcp-sessions/transports"
import { generateText, isStepCount, jsonSchema, type ToolSet } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import type { Framework, Plan } from "../Framework.ts"

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 }
}

const modelOf = (plan: Plan) => {
  let turn = 0
  return new MockLanguageModelV4({
    doGenerate: async () => {
      const calls = plan[turn++] ?? []
      return {
        content: calls.length === 0
          ? [{ type: "text", text: "done" }]
          : calls.map((toolName, index) => ({
            type: "tool-call",
            toolCallId: `${turn}-${index}`,
            toolName,
            input: "{}"
          })),
        finishReason: { unified: calls.length === 0 ? "stop" : "tool-calls", raw: undefined },
        usage,
        warnings: []
      }
    }
  })
}

const generate = (model: MockLanguageModelV4, tools: ToolSet) =>
  generateText({ model, tools, prompt: "go", stopWhen: isStepCount(20) })

export const framework: Framework = {
  run: async ({ plan, tools }) => {
    const model = modelOf(plan)
    const { text } = await generate(model, AiSdk.toolSet({ tools, jsonSchema }))
    const prompt = model.doGenerateCalls.at(-1)?.prompt ?? []
    const seen = prompt.flatMap((message) =>
      message.role === "tool" ? message.content.map((part) => "output" in part ? JSON.stringify(part.output) : "") : []
    )
    return { said: text, seen }
  },
  waitsForApproval: async ({ tool, tools }) => {
    const { content } = await generate(modelOf([[tool]]), AiSdk.toolSet({ tools, jsonSchema }))
    return content.some(({ type }) => type === "tool-approval-request")
  }
}
