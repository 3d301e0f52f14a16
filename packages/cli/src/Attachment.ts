/**
 * Attachments of results: images, audio and resources, which are saved to files or shown as pictures.
 *
 * @since 0.1.0
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { isJsonObject, textOf } from "./internal/text.ts"

/**
 * Data in a result.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attachment {
  /** A name that is safe in a directory: letters, digits, `.`, `_` and `-`, at most 64 characters, and not one that means something. */
  readonly fileName: string
  readonly mimeType: string | undefined
  readonly data: Uint8Array
}

const extensions: Readonly<Record<string, string>> = {
  "application/json": "json",
  "application/pdf": "pdf",
  "application/xml": "xml",
  "application/zip": "zip",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg",
  "audio/wav": "wav",
  "image/gif": "gif",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/svg+xml": "svg",
  "image/webp": "webp",
  "text/csv": "csv",
  "text/html": "html",
  "text/markdown": "md",
  "text/plain": "txt"
}

const extensionOf = (mimeType: string | undefined): string => {
  const type = mimeType?.split(";", 1)[0]?.trim().toLowerCase() ?? ""
  return Object.hasOwn(extensions, type) ? extensions[type] ?? "bin" : "bin"
}

/** The longest name, in characters. In UTF-8 they are at most 255 bytes. */
const nameLimit = 64

/** Names that Windows gives a meaning, with any extension. */
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i

/** Makes a name of a text of others that is no path, hides nothing and means nothing to the system. */
const safeName = (text: string): string => {
  const name = text.normalize("NFC").replaceAll(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^[._-]+/, "")
  const short = [...name].slice(0, nameLimit).join("").replace(/\.+$/, "")
  return reserved.test(short) ? `_${short}` : short
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // The server wrote a percent sign that begins no escape.
    return text
  }
}

/** Names an attachment after the end of its URI, or after its kind. */
const fileNameOf = (options: {
  readonly uri: string | undefined
  readonly kind: string
  readonly mimeType: string | undefined
}): string => {
  const { kind, mimeType, uri } = options
  const end = uri?.split(/[?#]/, 1)[0]?.split(/[\\/]/).findLast((part) => part !== "") ?? ""
  const name = safeName(decoded(end)) || safeName(kind) || "data"
  return /\.[\p{L}\p{N}]{1,8}$/u.test(name) ? name : `${name}.${extensionOf(mimeType)}`
}

const encoder = new TextEncoder()

const make = (options: {
  readonly uri?: unknown
  readonly kind: string
  readonly mimeType: unknown
  readonly data: Uint8Array
}): Attachment => {
  const mimeType = textOf(options.mimeType)
  return {
    fileName: fileNameOf({ uri: textOf(options.uri), kind: options.kind, mimeType }),
    mimeType,
    data: options.data
  }
}

/** Decodes base64. `undefined` for anything else. */
const bytesOf = (text: unknown): Uint8Array | undefined =>
  typeof text === "string" ? Result.getOrUndefined(Base64.decode(text)) : undefined

/**
 * Reads the contents of a resource: its text or its bytes. `undefined` if it has neither.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofResource = (contents: unknown): Attachment | undefined => {
  if (!isJsonObject(contents)) return undefined
  const { blob, mimeType, text, uri } = contents
  const data = typeof text === "string" ? encoder.encode(text) : bytesOf(blob)
  if (data === undefined) return undefined
  return make({
    uri,
    kind: "resource",
    mimeType: mimeType ?? (typeof text === "string" ? "text/plain" : undefined),
    data
  })
}

/**
 * Reads the data of a content block: of an image, of audio, or of an embedded resource. `undefined` for text, links and blocks without valid
 * data.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofBlock = (block: unknown): Attachment | undefined => {
  if (!isJsonObject(block)) return undefined
  const { mimeType, resource, type } = block
  if (type === "resource") return ofResource(resource)
  const data = type === "image" || type === "audio" ? bytesOf(block.data) : undefined
  return data === undefined ? undefined : make({ kind: String(type), mimeType, data })
}
