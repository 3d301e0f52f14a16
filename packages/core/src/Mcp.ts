/**
 * Vocabulary of the protocol, as types; and {@link text}, which reads the text of a result.
 *
 * This is the only module of the package that names the MCP SDK, and it imports types only: no code of the SDK is loaded at run
 * time. Shapes are those of the Model Context Protocol schema, 2024-11-05 to 2026-07-28.
 *
 * **Example** (Reading the text of a result)
 *
 * ```ts import.meta.vitest
 * import { Mcp } from "@mcp-sessions/core"
 *
 * const content = [
 *   { type: "text", text: "two files:" },
 *   { type: "image", data: "", mimeType: "image/png" },
 *   { type: "text", text: "README.md, LICENSE" }
 * ]
 * Mcp.text({ content }) // => "two files:\nREADME.md, LICENSE"
 * ```
 *
 * @since 0.1.0
 */
import type {
  CallToolResult as SdkCallToolResult,
  CompleteResult as SdkCompleteResult,
  CreateMessageRequestParams as SdkCreateMessageRequestParams,
  CreateMessageResult as SdkCreateMessageResult,
  ElicitRequestFormParams as SdkElicitRequestFormParams,
  ElicitRequestURLParams as SdkElicitRequestURLParams,
  ElicitResult as SdkElicitResult,
  GetPromptResult as SdkGetPromptResult,
  Implementation as SdkImplementation,
  Progress as SdkProgress,
  Prompt as SdkPrompt,
  PromptReference as SdkPromptReference,
  ReadResourceResult as SdkReadResourceResult,
  Resource as SdkResource,
  ResourceTemplateReference as SdkResourceTemplateReference,
  ResourceTemplateType as SdkResourceTemplate,
  Root as SdkRoot,
  ServerCapabilities as SdkServerCapabilities,
  Task as SdkTask,
  Tool as SdkTool
} from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"

/**
 * A tool as a server lists it: name, JSON Schema of its input, optional output schema and annotations.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools
 * @category models
 * @since 0.1.0
 */
export type Tool = SdkTool

/**
 * What a tool answered. `isError: true` is an answer too: the tool ran and says that it failed.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling
 * @category models
 * @since 0.1.0
 */
export type CallToolResult = SdkCallToolResult

/**
 * A resource as a server lists it.
 *
 * @category models
 * @since 0.1.0
 */
export type Resource = SdkResource

/**
 * A family of resources as a server lists it: a URI template (RFC 6570) to fill in.
 *
 * @category models
 * @since 0.1.0
 */
export type ResourceTemplate = SdkResourceTemplate

/**
 * The contents of a resource.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadResourceResult = SdkReadResourceResult

/**
 * A prompt as a server lists it.
 *
 * @category models
 * @since 0.1.0
 */
export type Prompt = SdkPrompt

/**
 * The messages that a prompt expands to.
 *
 * @category models
 * @since 0.1.0
 */
export type GetPromptResult = SdkGetPromptResult

/**
 * What a completion is for: an argument of a prompt, or a variable of a resource template.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion
 * @category models
 * @since 0.1.0
 */
export type CompletionReference = SdkPromptReference | SdkResourceTemplateReference

/**
 * What an argument may be completed to: at most 100 values, the best ones first, and whether there are more.
 *
 * @category models
 * @since 0.1.0
 */
export type Completion = SdkCompleteResult["completion"]

/**
 * How far a request has come: `progress` grows with each report, up to `total` where the server knows it.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress
 * @category models
 * @since 0.1.0
 */
export type Progress = SdkProgress

/**
 * The name and version that a peer gives itself. Self-reported, hence no proof of identity.
 *
 * @category models
 * @since 0.1.0
 */
export type Implementation = SdkImplementation

/**
 * What a server says that it offers.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerCapabilities = SdkServerCapabilities

/**
 * What a server wants a language model to answer.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateMessageParams = SdkCreateMessageRequestParams

/**
 * What a language model answered.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateMessageResult = SdkCreateMessageResult

/**
 * A form that a server wants filled in by the user.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitFormParams = SdkElicitRequestFormParams

/**
 * A URL that a server wants the user to visit.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitUrlParams = SdkElicitRequestURLParams

/**
 * How far a tool call is that runs as a task.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @category models
 * @since 0.1.0
 */
export type Task = SdkTask

/**
 * What the user did with what a server wanted of them.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitResult = SdkElicitResult

/**
 * A directory or file that a server may work in.
 *
 * @category models
 * @since 0.1.0
 */
export type Root = SdkRoot

const textOf = (block: unknown): ReadonlyArray<string> =>
  Predicate.isObject(block) && "text" in block && Predicate.isString(block.text) ? [block.text] : []

const isTextBlock = (block: unknown): boolean => Predicate.isObject(block) && "type" in block && block.type === "text"

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/**
 * Reads the text of a result: the text blocks of a tool result, the text contents of a resource, or the text messages of a prompt,
 * joined by newlines. Skips images, audio, links and blocks of another shape than the protocol promises.
 *
 * @category accessors
 * @since 0.1.0
 */
export const text = (result: CallToolResult | ReadResourceResult | GetPromptResult): string => {
  const { content, contents, messages } = result as Record<"content" | "contents" | "messages", unknown>
  const spoken = listOf(messages).map((message) =>
    Predicate.isObject(message) && "content" in message ? message.content : undefined
  )
  return [...[...listOf(content), ...spoken].filter(isTextBlock), ...listOf(contents)].flatMap(textOf).join("\n")
}
