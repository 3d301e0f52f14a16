/**
 * Formats the result of a tool as text. Servers send what no revision of the protocol describes, and the tool has run: whatever the result is,
 * it is shown as far as possible.
 *
 * @since 0.1.0
 */
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Attachment from "./Attachment.ts"
import { isJsonObject, quote, textOf } from "./internal/text.ts"

/**
 * A part of a result: its text, and its data if it has any.
 *
 * @category models
 * @since 0.1.0
 */
export interface Part {
  readonly text: string
  readonly attachment: Attachment.Attachment | undefined
}

const unknown = (block: unknown): string => {
  const type = isJsonObject(block) ? textOf(block.type) : undefined
  return `[${type === undefined ? "content without a type" : `unknown content of type ${JSON.stringify(type)}`}] ${
    quote(block)
  }`
}

/** Describes binary data in place of showing it. */
const binary = (type: string, data: string, mimeType: unknown): string =>
  `[${[type, textOf(mimeType)].filter((word) => word !== undefined).join(" ")}, ${
    Math.floor(data.length * 3 / 4)
  } bytes]`

const resource = (value: unknown): string | undefined => {
  if (!isJsonObject(value)) return undefined
  const { blob, mimeType, text } = value
  const uri = textOf(value.uri)
  const name = uri === undefined ? undefined : `resource ${uri}`
  return textOf(text) ?? (typeof blob === "string" && name !== undefined
    ? binary(name, blob, mimeType)
    : name === undefined
    ? undefined
    : `[${name}]`)
}

/** Formats a block of a type that is known and holds what its type promises. */
const known = (block: Readonly<Record<string, unknown>>): string | undefined => {
  const { data, mimeType, text, type, uri } = block
  switch (type) {
    case "text":
      return textOf(text)
    case "image":
    case "audio":
      return typeof data === "string" ? binary(type, data, mimeType) : undefined
    case "resource":
      return resource(block.resource)
    case "resource_link":
      return typeof uri === "string" ? `[resource ${uri}]` : undefined
    default:
      return undefined
  }
}

/**
 * Formats a content block. One that cannot be shown is named and quoted as JSON.
 *
 * @category rendering
 * @since 0.1.0
 */
export const formatBlock = (block: unknown): string =>
  (isJsonObject(block) ? known(block) : undefined) ?? unknown(block)

/**
 * Returns the parts of a result: its content blocks, or its structured content if it has no other.
 *
 * @category rendering
 * @since 0.1.0
 */
export const partsOf = (result: unknown): ReadonlyArray<Part> => {
  const content = isJsonObject(result) ? result.content : undefined
  return Array.isArray(content) && content.length > 0
    ? content.map((block) => ({ text: formatBlock(block), attachment: Attachment.ofBlock(block) }))
    : [{ text: format(result), attachment: undefined }]
}

/**
 * Formats a result: its content, or its structured content if there is no other. A block that cannot be shown is named and quoted as JSON.
 *
 * @category rendering
 * @since 0.1.0
 */
export const format = (result: unknown): string => {
  if (!isJsonObject(result)) return unknown(result)
  const { content, structuredContent } = result
  if (Array.isArray(content) && content.length > 0) return content.map(formatBlock).join("\n")
  if (structuredContent !== undefined) return ExactNumbers.stringify(structuredContent, 2)
  return content === undefined || Array.isArray(content) ? "" : unknown(content)
}
