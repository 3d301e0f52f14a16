/** LangChain: the loop of an agent over its messages and tools. The packages of its agents are not needed for that. */
import { AIMessage, HumanMessage, type ToolMessage } from "@langchain/core/messages"
import { DynamicStructuredTool } from "@langchain/core/tools"
import { convertToOpenAITool } from "@langchain/core/utils/function_calling"
import { LangChain } from "@mcp-sessions/transports"
import type { Framework } from "../Framework.ts"

export const framework: Framework = {
  run: async ({ plan, tools }) => {
    const offered = LangChain.tools({ tools, DynamicStructuredTool })
    // As models receive them.
    const names = offered.map((tool) => convertToOpenAITool(tool).function.name)
    const messages: Array<HumanMessage | AIMessage | ToolMessage> = [new HumanMessage("go")]
    for (const [turn, calls] of plan.entries()) {
      const tool_calls = calls.map((name, index) => ({
        type: "tool_call" as const,
        id: `${turn}-${index}`,
        name,
        args: {}
      }))
      messages.push(new AIMessage({ content: "", tool_calls }))
      messages.push(
        ...await Promise.all(tool_calls.map(async (call) => {
          const tool = offered[names.indexOf(call.name)]
          if (tool === undefined) throw new Error(`there is no tool ${call.name}`)
          return tool.invoke(call) as Promise<ToolMessage>
        }))
      )
    }
    const seen = messages.flatMap((message) => message.getType() === "tool" ? [JSON.stringify(message.content)] : [])
    return { said: "done", seen }
  },
  waitsForApproval: async ({ tool, tools }) => {
    const offered = LangChain.tools({ tools, DynamicStructuredTool }).find(({ name }) => name === tool)
    const message: unknown = await offered?.invoke({ type: "tool_call", id: "1", name: tool, args: {} })
    const { content } = message as ToolMessage
    return String(content).includes("needs the approval of a person")
  }
}
