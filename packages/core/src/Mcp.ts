/**
 * Types of the Model Context Protocol, and functions that read results: {@link text}, {@link structured}, {@link images}, {@link parts}.
 *
 * The types cover the protocol revisions 2024-11-05 to 2026-07-28. This is the only module of the package that imports the MCP SDK, and
 * it imports types only: no code of the SDK is loaded at run time.
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
  Tool as SdkTool
} from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { type ContentPart, partsOfResult } from "./internal/content.ts"

/**
 * Tool of a server: name, JSON Schema of its input, optional output schema and annotations.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools
 * @category models
 * @since 0.1.0
 */
export type Tool = SdkTool

/**
 * Result of a tool call. With `isError: true` the tool ran and reports that it failed.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling
 * @category models
 * @since 0.1.0
 */
export type CallToolResult = SdkCallToolResult

/**
 * Resource of a server.
 *
 * @category models
 * @since 0.1.0
 */
export type Resource = SdkResource

/**
 * Template of resources of a server: a URI template (RFC 6570).
 *
 * @category models
 * @since 0.1.0
 */
export type ResourceTemplate = SdkResourceTemplate

/**
 * Contents of a resource.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadResourceResult = SdkReadResourceResult

/**
 * Prompt of a server.
 *
 * @category models
 * @since 0.1.0
 */
export type Prompt = SdkPrompt

/**
 * Messages that a prompt expands to.
 *
 * @category models
 * @since 0.1.0
 */
export type GetPromptResult = SdkGetPromptResult

/**
 * Target of a completion: an argument of a prompt, or a variable of a resource template.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion
 * @category models
 * @since 0.1.0
 */
export type CompletionReference = SdkPromptReference | SdkResourceTemplateReference

/**
 * Completions of an argument: at most 100 values, best matches first, and whether there are more.
 *
 * @category models
 * @since 0.1.0
 */
export type Completion = SdkCompleteResult["completion"]

/**
 * Progress of a request: `progress` grows with each notification, up to `total` if the server knows it.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress
 * @category models
 * @since 0.1.0
 */
export type Progress = SdkProgress

/**
 * Name and version that a peer reports. They do not prove its identity.
 *
 * @category models
 * @since 0.1.0
 */
export type Implementation = SdkImplementation

/**
 * Capabilities that a server declares.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerCapabilities = SdkServerCapabilities

/**
 * Request of a server for a message of a language model.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateMessageParams = SdkCreateMessageRequestParams

/**
 * Response of a language model.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateMessageResult = SdkCreateMessageResult

/**
 * Form that a server asks the user to fill in.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitFormParams = SdkElicitRequestFormParams

/**
 * URL that a server asks the user to visit.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitUrlParams = SdkElicitRequestURLParams

/**
 * The states of a task. `completed`, `failed` and `cancelled` are final.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskStatus = "working" | "input_required" | "completed" | "failed" | "cancelled"

/**
 * Status of a tool call that runs as a task, in one shape for both eras. In 2026-07-28 the server calls `ttl` `ttlMs`, and `pollInterval`
 * `pollIntervalMs`. Texts of the server are cut off after 4,096 characters.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 * @category models
 * @since 0.1.0
 */
export interface Task {
  /** The id that the server gave the task. It may be all that is needed to read the task: treat it as a secret. */
  readonly taskId: string
  /** The state of the task. */
  readonly status: TaskStatus
  /** What the server says about the state. Absent if it says nothing. */
  readonly statusMessage?: string
  /** When the task was created, as ISO 8601 text of the server. Absent if the server does not say. */
  readonly createdAt?: string
  /** When the task last changed, as ISO 8601 text of the server. Absent if the server does not say. */
  readonly lastUpdatedAt?: string
  /** How long the server keeps the task, in milliseconds after its creation; `null` for no limit. Absent if the server does not say. */
  readonly ttl?: number | null
  /** The time between two polls that the server asks for, in milliseconds. Absent if the server does not say. */
  readonly pollInterval?: number
}

/**
 * Response of the user to a form or URL: accepted, declined or cancelled.
 *
 * @category models
 * @since 0.1.0
 */
export type ElicitResult = SdkElicitResult

/**
 * Directory or file that a server may access.
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
 * joined by newlines. Skips images, audio, links and invalid blocks.
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

/**
 * Part of a result: text, or a file in base64 with its media type. `uri` is set if the file is a resource with a URI.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = ContentPart

/**
 * Returns all content of a result as text and files, in order. A link to a resource becomes its name, description and URI as text.
 *
 * **Example** (Reading the content of a result)
 *
 * ```ts import.meta.vitest
 * import { Mcp } from "@mcp-sessions/core"
 *
 * const content = [
 *   { type: "text", text: "the chart" },
 *   { type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" }
 * ]
 * Mcp.parts({ content }).map((part) => part.type === "text" ? part.text : part.mediaType) // => ["the chart", "image/png"]
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const parts = (result: CallToolResult | ReadResourceResult | GetPromptResult): ReadonlyArray<Part> =>
  partsOfResult(result)

/**
 * Returns the structured content of a tool result, if it has any.
 *
 * @category accessors
 * @since 0.1.0
 */
export const structured = (result: CallToolResult): unknown => result.structuredContent

/**
 * Returns the images of a result.
 *
 * @category accessors
 * @since 0.1.0
 */
export const images = (
  result: CallToolResult | ReadResourceResult | GetPromptResult
): ReadonlyArray<Extract<Part, { readonly type: "file" }>> =>
  partsOfResult(result).flatMap((part) => part.type === "file" && part.mediaType.startsWith("image/") ? [part] : [])
