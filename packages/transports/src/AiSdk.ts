/**
 * The tools of MCP servers as a `ToolSet` of the AI SDK (`ai` 7).
 *
 * The module imports nothing of the AI SDK: the program passes `jsonSchema` of its own copy, so that there is no second copy, and no
 * dependency for programs without it.
 *
 * **Details**
 *
 * Make the tools once, and a tool set for each generation, so that each sees the tools of the moment. A failed call is a tool error that the
 * model reads; `cause` of the error is the `ToolError`. A call that may have run says so to the model. Aborting the generation cancels the
 * call on the server.
 *
 * **Example** (Giving a model the tools of a server)
 *
 * ```ts import.meta.vitest
 * import { AiSdk, McpSessions } from "@mcp-sessions/transports"
 *
 * // import { generateText, jsonSchema } from "ai"
 * const jsonSchema = (schema) => ({ schema })
 *
 * await using sessions = McpSessions.open({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * const tools = await sessions.tools({ include: ["everything/echo"] })
 *
 * // generateText({ model, tools: AiSdk.toolSet({ tools, jsonSchema }), prompt })
 * const { everything_echo } = AiSdk.toolSet({ tools, jsonSchema })
 * const result = await everything_echo.execute({ message: "hi" }, { toolCallId: "1" })
 * everything_echo.toModelOutput({ output: result }) // => { type: "content", value: [{ type: "text", text: "Echo: hi" }] }
 * ```
 *
 * @since 0.1.0
 */
import type { CallToolResult, Part } from "@mcp-sessions/core/Mcp"
import type { McpTools, Signal } from "@mcp-sessions/core/McpSessions"
import { FailedCall, outcomeOf } from "./internal/frameworks/outcome.ts"
import { type ModelOutput, outputParts } from "./internal/frameworks/outputParts.ts"
import { keysOf, throwUnknownKeys } from "./internal/unknownKeys.ts"

/**
 * Part of a tool result as the AI SDK sends it to a model.
 *
 * @category models
 * @since 0.1.0
 */
export type OutputPart =
  | { readonly type: "text"; readonly text: string }
  | {
    readonly type: "file"
    readonly data: { readonly type: "data"; readonly data: string }
    readonly mediaType: string
    readonly filename?: string
  }

/**
 * A tool of the AI SDK. `S` is the type that `jsonSchema` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface AiSdkTool<S> {
  /** Marks a tool whose arguments have no type at compile time. */
  readonly type: "dynamic"
  /** The description for the model. */
  readonly description: string
  /** The JSON Schema of the arguments, as `jsonSchema` wraps it. */
  readonly inputSchema: S
  /** Whether a person has to approve the call. */
  readonly needsApproval: (args: unknown, options: { readonly toolCallId: string }) => Promise<boolean>
  /** Makes the call. Rejects with an error whose message is the text for the model. */
  readonly execute: (
    args: unknown,
    options: { readonly toolCallId: string; readonly abortSignal?: Signal | undefined }
  ) => Promise<CallToolResult>
  /** Turns a result into the parts that the model sees. */
  readonly toModelOutput: (
    options: { readonly output: CallToolResult }
  ) => { type: "content"; value: Array<OutputPart> }
}

const partOf = (part: Part): OutputPart =>
  part.type === "text" ? part : {
    type: "file",
    data: { type: "data", data: part.data },
    mediaType: part.mediaType,
    ...(part.uri === undefined ? {} : { filename: part.uri })
  }

/**
 * Options of {@link toolSet}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolSetOptions<S> {
  /** The tools, of `McpSessions.tools`. */
  readonly tools: McpTools
  /** `jsonSchema` of the package `ai`. */
  readonly jsonSchema: (schema: never) => S
  /** What the model sees of results. Default: `content`, text and files. */
  readonly output?: ModelOutput | undefined
}

const known = keysOf<ToolSetOptions<unknown>>({ jsonSchema: true, output: true, tools: true })

/**
 * Makes a tool set of the tools of the moment. Throws a `ConfigError` if an option is unknown.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toolSet = <S>(options: ToolSetOptions<S>): Record<string, AiSdkTool<S>> => {
  throwUnknownKeys({ options, known })
  const { jsonSchema, output, tools } = options
  return Object.fromEntries(
    tools.list().map(({ definition: { description = "", inputSchema }, name }): [string, AiSdkTool<S>] => [name, {
      type: "dynamic",
      description,
      inputSchema: jsonSchema(inputSchema as never),
      needsApproval: (args, { toolCallId }) => tools.needsApproval({ name, args, callId: toolCallId }),
      execute: (args, { abortSignal, toolCallId }) =>
        outcomeOf(tools.call({ name, args, callId: toolCallId, signal: abortSignal })).then((outcome) => {
          if (outcome instanceof FailedCall) throw outcome.toError()
          return outcome
        }),
      toModelOutput: ({ output: result }) => ({ type: "content", value: outputParts({ result, output }).map(partOf) })
    }])
  )
}

export type { ModelOutput }
