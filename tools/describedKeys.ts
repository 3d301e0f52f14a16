/**
 * The keys of server definitions with their descriptions, for pages and schemas.
 */
import type { KeyDescription } from "../packages/core/src/internal/config/describedKey.ts"
import {
  descriptionOf,
  fieldsOf,
  type TransportKind,
  transportKinds
} from "../packages/core/src/internal/config/keys.ts"

/** A key with the transports that have it. */
export interface Key {
  readonly key: string
  readonly kinds: ReadonlyArray<TransportKind>
  /** By transport; only the default and, for `url`, the scheme differ. */
  readonly descriptions: ReadonlyArray<KeyDescription>
}

/** All keys. */
export const keys: ReadonlyArray<Key> = Array.from(
  new Set(transportKinds.flatMap((kind) => Object.keys(fieldsOf(kind)))),
  (key) => {
    const described = transportKinds.flatMap((kind) => {
      const description = descriptionOf({ kind, key })
      return description === undefined ? [] : [{ kind, description }]
    })
    return {
      key,
      kinds: described.map(({ kind }) => kind),
      descriptions: described.map(({ description }) => description)
    }
  }
)

/** One text, or one for each group of transports that differ. */
export const varied = ({ descriptions, kinds }: Key, text: (description: KeyDescription) => string): string => {
  const texts = new Map<string, Array<string>>()
  for (const [index, description] of descriptions.entries()) {
    const kindsOf = texts.get(text(description)) ?? []
    kindsOf.push(kinds[index] ?? "")
    texts.set(text(description), kindsOf)
  }
  return texts.size === 1
    ? [...texts.keys()].join("")
    : Array.from(texts, ([text, kinds]) => `${text} (${kinds.join(", ")})`).join("; ")
}

const units = (text: string): string => text.startsWith("a duration") ? " (numbers are milliseconds)" : ""

/** The description of a key as one paragraph. */
export const sentences = (key: Key): string => {
  const { description = "", expectation, why = "" } = key.descriptions[0] ?? {}
  const isPlain = key.key === "transport" || expectation?.text === "true or false"
  const value = isPlain
    ? []
    : [`Accepts ${varied(key, ({ expectation: { text } }) => `${text}${units(text)}`)}.`]
  const isRequired = key.descriptions.every((description) => description.default === undefined)
  const fallback = isRequired ? [] : [`Default: ${varied(key, (description) => description.default ?? "")}.`]
  return [description, ...value, ...fallback, why].join(" ")
}
