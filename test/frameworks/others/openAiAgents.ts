/** The OpenAI Agents SDK. */
import { OpenAiAgents } from "@mcp-sessions/transports"
import { Agent, type Model, type ModelRequest, Runner, type Tool, Usage } from "@openai/agents-core"
import type { Framework, Plan } from "../Framework.ts"

const modelOf = (plan: Plan) => {
  let turn = 0
  const requests: Array<ModelRequest> = []
  const model: Model = {
    getResponse: async (request) => {
      requests.push(request)
      const calls = plan[turn++] ?? []
      return {
        usage: new Usage(),
        output: calls.length === 0
          ? [{
            type: "message",
            role: "assistant",
            status: "completed",
            content: [{ type: "output_text", text: "done" }]
          }]
          : calls.map((name, index) => ({
            type: "function_call",
            callId: `${turn}-${index}`,
            name,
            arguments: "{}",
            status: "completed"
          }))
      }
    },
    getStreamedResponse: () => {
      throw new Error("not streamed")
    }
  }
  return { model, requests }
}

const runner = new Runner({ tracingDisabled: true })

const agentOf = (model: Model, tools: Array<Tool>) => new Agent({ name: "agent", model, tools })

export const framework: Framework = {
  run: async ({ plan, tools }) => {
    const { model, requests } = modelOf(plan)
    const { finalOutput } = await runner.run(agentOf(model, OpenAiAgents.tools({ tools })), "go", { maxTurns: 20 })
    const input = requests.at(-1)?.input ?? []
    const seen = typeof input === "string" ?
      [] :
      input.flatMap((item) =>
        "type" in item && item.type === "function_call_result" ? [JSON.stringify(item.output)] : []
      )
    return { said: String(finalOutput), seen }
  },
  waitsForApproval: async ({ tool, tools }) => {
    const { model } = modelOf([[tool]])
    const { interruptions } = await runner.run(agentOf(model, OpenAiAgents.tools({ tools })), "go")
    return interruptions.length > 0
  }
}
