/**
 * Prompts, resources and results of servers as prompts of `effect/ai`.
 *
 * **Example** (Asking a model about a resource)
 *
 * ```ts import.meta.vitest
 * import { ModelPrompt } from "@mcp-sessions/core"
 * import { Prompt } from "effect/ai"
 *
 * // As `session.readResource` and `session.getPrompt` give them.
 * const resource = { contents: [{ uri: "file:///notes.md", text: "Buy milk." }] }
 * const expanded = { messages: [{ role: "user", content: { type: "text", text: "Summarize the notes." } }] }
 *
 * const prompt = Prompt.concat(ModelPrompt.fromResource(resource), ModelPrompt.fromPrompt(expanded))
 * prompt.content.map(({ role }) => role) // => ["user", "user"]
 * ```
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import { type ContentPart, partsOf } from "./internal/content.ts"
import { type CallToolResult, type GetPromptResult, parts, type ReadResourceResult, structured, text } from "./Mcp.ts"

const partOf = (part: ContentPart): Prompt.ToolModelOutputPart =>
  part.type === "text"
    ? Prompt.textPart({ text: part.text })
    : Prompt.filePart({ mediaType: part.mediaType, data: part.data, fileName: part.uri })

/**
 * Makes a prompt of the messages that a prompt of a server expands to, images and resources included.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromPrompt = ({ messages }: GetPromptResult): Prompt.Prompt =>
  Prompt.fromMessages(messages.map((message) => {
    const content = partsOf(message.content).map(partOf)
    return message.role === "assistant"
      ? Prompt.assistantMessage({ content })
      : Prompt.userMessage({ content })
  }))

/**
 * Makes a user message of the contents of a resource: text, and files with their media types.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromResource = (resource: ReadResourceResult): Prompt.Prompt =>
  Prompt.fromMessages([Prompt.userMessage({ content: parts(resource).map(partOf) })])

/**
 * What a model sees of a tool result. `content` (default): text and files, or the structured content where there is neither. `text`: the text
 * alone. `structured`: the JSON of the structured content, or the text of a result without structured content.
 *
 * @category models
 * @since 0.1.0
 */
export type ModelOutput = "content" | "text" | "structured"

const jsonOf = (result: CallToolResult): string | undefined => {
  const value = structured(result)
  return value === undefined ? undefined : JSON.stringify(value)
}

/**
 * Makes the parts of a tool result that a model sees.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromResult = (
  { output = "content", result }: { readonly result: CallToolResult; readonly output?: ModelOutput | undefined }
): ReadonlyArray<Prompt.ToolModelOutputPart> => {
  const said = text(result)
  const textOnly = (chosen: string) => [Prompt.textPart({ text: chosen })]
  switch (output) {
    case "text":
      return textOnly(said)
    case "structured":
      return textOnly(jsonOf(result) ?? said)
    case "content": {
      const all = parts(result).map(partOf)
      return all.length === 0 ? textOnly(jsonOf(result) ?? "") : all
    }
  }
}
