/**
 * The tools of MCP servers as structured tools of LangChain (`@langchain/core` 1).
 *
 * The module imports nothing of LangChain: the program passes `DynamicStructuredTool` of its own copy, so that the tools are of the class that
 * its agents know.
 *
 * **Details**
 *
 * A result is the content of a tool message, with images and other files as content blocks, and its artifact is the whole `CallToolResult`. A
 * failed call is a message that the model reads, with the `ToolError` as its artifact, or with `failureMode: "error"` an error, which agents
 * of LangChain may turn into a request to try again. LangChain knows no approvals: where `needsApproval` asks for one, the call fails with
 * `CallDenied`.
 *
 * **Example** (Calling a tool of LangChain)
 *
 * ```ts import.meta.vitest
 * import { LangChain, McpSessions } from "@mcp-sessions/transports"
 *
 * // import { DynamicStructuredTool } from "@langchain/core/tools"
 * class DynamicStructuredTool {
 *   constructor(fields) {
 *     Object.assign(this, fields)
 *   }
 * }
 *
 * await using sessions = McpSessions.open({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * const tools = await sessions.tools({ include: ["everything/echo"] })
 *
 * // createAgent({ model, tools: LangChain.tools({ tools, DynamicStructuredTool }) })
 * const [echo] = LangChain.tools({ tools, DynamicStructuredTool })
 * const [content] = await echo.func({ message: "hi" })
 * content // => "Echo: hi"
 * ```
 *
 * @since 0.1.0
 */
import type { CallToolResult, Part } from "@mcp-sessions/core/Mcp"
import type { McpTools, Signal } from "@mcp-sessions/core/McpSessions"
import { CallDenied, ToolError } from "@mcp-sessions/core/ToolError"
import { FailedCall, outcomeOf } from "./internal/frameworks/outcome.ts"
import { type ModelOutput, outputParts } from "./internal/frameworks/outputParts.ts"
import { keysOf, throwUnknownKeys } from "./internal/unknownKeys.ts"

/**
 * Content block of a tool message.
 *
 * @category models
 * @since 0.1.0
 */
export type ContentBlock =
  | { readonly type: "text"; readonly text: string }
  | {
    readonly type: "image" | "audio" | "file"
    readonly source_type: "base64"
    readonly mime_type: string
    readonly data: string
  }

/**
 * What a tool returns: the content of its message, text where there is nothing else, and its artifact.
 *
 * @category models
 * @since 0.1.0
 */
export type ContentAndArtifact = [content: string | Array<ContentBlock>, artifact: CallToolResult | ToolError]

/**
 * The context that LangChain passes to a call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallConfig {
  /** Cancels the call when it is aborted. */
  readonly signal?: Signal | undefined
  /** The call that the model made, with its id. */
  readonly toolCall?: { readonly id?: string | undefined } | undefined
}

/**
 * The fields of a `DynamicStructuredTool`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolFields {
  /** The name for the model. */
  name: string
  /** The description for the model. */
  description: string
  /** The JSON Schema of the arguments. */
  schema: Record<string, unknown>
  /** Says that a call gives content for the model and an artifact for the program. */
  responseFormat: "content_and_artifact"
  /** The server, and the name of the tool on it. */
  metadata: Record<string, unknown>
  /** Makes the call. */
  func: (args: unknown, runManager?: unknown, config?: CallConfig) => Promise<ContentAndArtifact>
}

const kindOf = (mediaType: string): "image" | "audio" | "file" =>
  mediaType.startsWith("image/") ? "image" : mediaType.startsWith("audio/") ? "audio" : "file"

const blockOf = (part: Part): ContentBlock =>
  part.type === "text"
    ? part
    : { type: kindOf(part.mediaType), source_type: "base64", mime_type: part.mediaType, data: part.data }

const contentOf = (parts: ReadonlyArray<Part>): string | Array<ContentBlock> => {
  const texts = parts.flatMap((part) => part.type === "text" ? [part.text] : [])
  return texts.length === parts.length ? texts.join("\n") : parts.map(blockOf)
}

/**
 * Options of {@link tools}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolsOptions<T> {
  /** The tools, of `McpSessions.tools`. */
  readonly tools: McpTools
  /** The class of `@langchain/core/tools`. */
  readonly DynamicStructuredTool: new(fields: ToolFields) => T
  /** Whether a failed call is a message for the model, or an error. Default: `return`. */
  readonly failureMode?: "return" | "error" | undefined
  /** What the model sees of results. Default: `content`, text and files. */
  readonly output?: ModelOutput | undefined
}

const known = keysOf<ToolsOptions<unknown>>({
  DynamicStructuredTool: true,
  failureMode: true,
  output: true,
  tools: true
})

/**
 * Makes structured tools of the tools of the moment. Throws a `ConfigError` if an option is unknown.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tools = <T>(options: ToolsOptions<T>): Array<T> => {
  throwUnknownKeys({ options, known })
  const { DynamicStructuredTool, failureMode = "return", output, tools } = options
  const failed = (failure: FailedCall): ContentAndArtifact => {
    if (failureMode === "error") throw failure.toError()
    return [failure.error.forModel, failure.error]
  }
  const denied = (name: string) =>
    new FailedCall(
      new ToolError({ tool: name, reason: new CallDenied({ description: "the call needs the approval of a person" }) })
    )
  return tools.list().map(({ definition: { description = "", inputSchema }, name, server, tool }) =>
    new DynamicStructuredTool({
      name,
      description,
      schema: inputSchema,
      responseFormat: "content_and_artifact",
      metadata: { server, tool },
      func: (args, _runManager, config) => {
        const { signal, toolCall } = config ?? {}
        const callId = toolCall?.id
        return tools.needsApproval({ name, args, callId, signal }).then((needsApproval) =>
          needsApproval ? denied(name) : outcomeOf(tools.call({ name, args, callId, signal }))
        ).then((outcome) =>
          outcome instanceof FailedCall
            ? failed(outcome)
            : [contentOf(outputParts({ result: outcome, output })), outcome]
        )
      }
    })
  )
}

export type { ModelOutput }
