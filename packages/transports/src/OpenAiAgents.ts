/**
 * The tools of MCP servers as function tools of the OpenAI Agents SDK (`@openai/agents` 0.20).
 *
 * The module imports nothing of the SDK: function tools are plain objects.
 *
 * **Details**
 *
 * Make the tools once, and the function tools for each agent. A failed call is an output that the model reads, or with `failureMode: "error"`
 * an error of the run. Where `needsApproval` asks for an approval, the run is interrupted until the program has approved or rejected the call.
 *
 * **Example** (Invoking a function tool)
 *
 * ```ts import.meta.vitest
 * import { McpSessions, OpenAiAgents } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.open({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * const tools = await sessions.tools({ include: ["everything/echo"] })
 *
 * // new Agent({ name: "assistant", tools: OpenAiAgents.tools({ tools }) })
 * const [echo] = OpenAiAgents.tools({ tools })
 * await echo.invoke({}, "{\"message\":\"hi\"}") // => "Echo: hi"
 * ```
 *
 * @since 0.1.0
 */
import type { Part } from "@mcp-sessions/core/Mcp"
import type { McpTools, Signal } from "@mcp-sessions/core/McpSessions"
import { FailedCall, outcomeOf } from "./internal/frameworks/outcome.ts"
import { type ModelOutput, outputParts } from "./internal/frameworks/outputParts.ts"
import { keysOf, throwUnknownKeys } from "./internal/unknownKeys.ts"

/**
 * Output of a function tool that is more than text.
 *
 * @category models
 * @since 0.1.0
 */
export type OutputItem =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly image: { readonly data: string; readonly mediaType: string } }
  | {
    readonly type: "file"
    readonly file: { readonly data: string; readonly mediaType: string; readonly filename: string }
  }

/**
 * Function tool of the SDK.
 *
 * @category models
 * @since 0.1.0
 */
export interface FunctionTool {
  /** Marks a function tool. */
  type: "function"
  /** The name for the model. */
  name: string
  /** The description for the model. */
  description: string
  /** The JSON Schema of the arguments. */
  // oxlint-disable-next-line typescript/no-explicit-any - as the SDK declares it
  parameters: { type: "object"; properties: any; required: Array<any>; additionalProperties: true }
  /**
   * Whether the provider holds the model to the schema. Always `false`: servers write schemas that strict mode refuses.
   */
  strict: boolean
  /** Makes the call with the JSON of the arguments. */
  invoke: (
    runContext: unknown,
    input: string,
    details?: {
      readonly toolCall?: { readonly callId?: string | undefined } | undefined
      readonly signal?: Signal | undefined
    }
  ) => Promise<string | Array<OutputItem>>
  /** Whether a person has to approve the call. */
  needsApproval: (runContext: unknown, input: unknown, callId?: string) => Promise<boolean>
  /** Whether the model is offered the tool. Always `true`. */
  isEnabled: () => Promise<boolean>
}

const itemOf = (part: Part): OutputItem => {
  if (part.type === "text") return part
  const { data, mediaType, uri = "file" } = part
  return mediaType.startsWith("image/")
    ? { type: "image", image: { data, mediaType } }
    : { type: "file", file: { data, mediaType, filename: uri } }
}

const outputOf = (parts: ReadonlyArray<Part>): string | Array<OutputItem> => {
  const texts = parts.flatMap((part) => part.type === "text" ? [part.text] : [])
  return texts.length === parts.length ? texts.join("\n") : parts.map(itemOf)
}

/** The arguments that a model wrote. What is no JSON is left for the catalog to refuse. */
const argsOf = (input: string): unknown => {
  if (input.trim() === "") return {}
  try {
    return JSON.parse(input)
  } catch {
    return input
  }
}

/**
 * Options of {@link tools}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolsOptions {
  /** The tools, of `McpSessions.tools`. */
  readonly tools: McpTools
  /** Whether a failed call is an output for the model, or an error of the run. Default: `return`. */
  readonly failureMode?: "return" | "error" | undefined
  /** What the model sees of results. Default: `content`, text and files. */
  readonly output?: ModelOutput | undefined
}

const known = keysOf<ToolsOptions>({ failureMode: true, output: true, tools: true })

/**
 * Makes function tools of the tools of the moment. Throws a `ConfigError` if an option is unknown.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tools = (options: ToolsOptions): Array<FunctionTool> => {
  throwUnknownKeys({ options, known })
  const { failureMode = "return", output, tools } = options
  return tools.list().map(({ definition: { description = "", inputSchema }, name }) => ({
    type: "function",
    name,
    description,
    parameters: {
      properties: {},
      required: [],
      additionalProperties: true,
      ...inputSchema
    } as FunctionTool["parameters"],
    strict: false,
    needsApproval: (_runContext, args, callId) => tools.needsApproval({ name, args, callId }),
    isEnabled: () => Promise.resolve(true),
    invoke: (_runContext, input, details) =>
      outcomeOf(tools.call({ name, args: argsOf(input), callId: details?.toolCall?.callId, signal: details?.signal }))
        .then((outcome) => {
          if (!(outcome instanceof FailedCall)) return outputOf(outputParts({ result: outcome, output }))
          if (failureMode === "error") throw outcome.toError()
          return outcome.error.forModel
        })
  }))
}

export type { ModelOutput }
