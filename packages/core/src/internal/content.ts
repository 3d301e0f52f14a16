/**
 * Content of results: reads blocks as servers send them, with members missing or of unknown types.
 */
import * as Predicate from "effect/Predicate"

/** A part of a result: text, or a file in base64 with the URI that it has as a resource. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "file"; readonly mediaType: string; readonly data: string; readonly uri?: string }

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => Predicate.isObject(value) && !Array.isArray(value)

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

const anyFile = "application/octet-stream"

const textPart = (text: string): ContentPart => ({ type: "text", text })

const filePart = (
  { data, mimeType, uri }: { readonly data: string; readonly mimeType: unknown; readonly uri?: unknown }
): ContentPart => ({
  type: "file",
  mediaType: Predicate.isString(mimeType) ? mimeType : anyFile,
  data,
  ...(Predicate.isString(uri) ? { uri } : {})
})

/** The contents of a resource: text, or a blob. */
const resourcePart = ({ blob, mimeType, text, uri }: Fields): ReadonlyArray<ContentPart> =>
  Predicate.isString(text)
    ? [textPart(text)]
    : Predicate.isString(blob)
    ? [filePart({ data: blob, mimeType, uri })]
    : []

const linkPart = ({ description, name, uri }: Fields): ReadonlyArray<ContentPart> =>
  Predicate.isString(uri) ? [textPart([name, description, uri].filter(Predicate.isString).join("\n"))] : []

/** Reads a content block. A block of an unknown type is its JSON. */
export const partsOf = (block: unknown): ReadonlyArray<ContentPart> => {
  if (!isFields(block)) return []
  const { data, mimeType, resource, text, type } = block
  switch (type) {
    case "text":
      return Predicate.isString(text) ? [textPart(text)] : []
    case "image":
    case "audio":
      return Predicate.isString(data) ? [filePart({ data, mimeType })] : []
    case "resource":
      return isFields(resource) ? resourcePart(resource) : []
    case "resource_link":
      return linkPart(block)
    default:
      return [textPart(JSON.stringify(block))]
  }
}

/** Reads all content of a result: the blocks of a tool result, the contents of a resource, or the messages of a prompt. */
export const partsOfResult = (result: object): ReadonlyArray<ContentPart> => {
  const { content, contents, messages } = result as Fields
  return [
    ...listOf(content).flatMap(partsOf),
    ...listOf(contents).flatMap((one) => isFields(one) ? resourcePart(one) : []),
    ...listOf(messages).flatMap((message) => isFields(message) ? partsOf(message.content) : [])
  ]
}
