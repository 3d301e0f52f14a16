/**
 * What a model sees of a tool result.
 */
import { type CallToolResult, type Part, parts, structured, text } from "@mcp-sessions/core/Mcp"

/**
 * What a model sees of a tool result. `content`: text and files, or the structured content where there is neither. `text`: the text alone.
 * `structured`: the JSON of the structured content, or the text of a result without structured content.
 *
 * @category models
 * @since 0.1.0
 */
export type ModelOutput = "content" | "text" | "structured"

export const outputParts = (
  { output = "content", result }: { readonly result: CallToolResult; readonly output?: ModelOutput | undefined }
): ReadonlyArray<Part> => {
  const content = structured(result)
  const json = content === undefined ? undefined : JSON.stringify(content)
  if (output === "structured" && json !== undefined) return [{ type: "text", text: json }]
  if (output !== "content") return [{ type: "text", text: text(result) }]
  const all = parts(result)
  return all.length === 0 ? [{ type: "text", text: json ?? "" }] : all
}
