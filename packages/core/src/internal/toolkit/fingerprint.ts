/**
 * Fingerprint: the SHA-256 of a JSON value, the same for any order of keys.
 *
 * The definition of a tool comes from its server, which may look for two definitions of one fingerprint: a short hash would not do.
 */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Tool } from "../../Mcp.ts"

/** Text as JSON in ASCII, lone surrogates included, so that its characters are its bytes. */
const asciiOf = (text: string): string =>
  JSON.stringify(text).replaceAll(
    // oxlint-disable-next-line no-control-regex
    /[^\u0000-\u007f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** JSON with sorted keys, in ASCII, of a value of bounded depth. Members without a JSON value are left out. */
export const canonicalOf = (value: unknown): string => {
  if (Predicate.isString(value)) return asciiOf(value)
  if (Array.isArray(value)) return `[${value.map(canonicalOf).join(",")}]`
  if (!Predicate.isObject(value)) return JSON.stringify(value) ?? "null"
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== "function")
  const sorted = members.toSorted(([one], [other]) => one < other ? -1 : 1)
  return `{${sorted.map(([key, member]) => `${asciiOf(key)}:${canonicalOf(member)}`).join(",")}}`
}

/** Computes fingerprints, in 64 hexadecimal digits. */
export type Fingerprint = (value: unknown) => Effect.Effect<string>

export const make: Effect.Effect<Fingerprint, never, Digest.Digest> = Effect.map(
  Digest.Digest,
  ({ digestHex }) => (value) =>
    digestHex(Digest.sha256, Uint8Array.from(canonicalOf(value), (character) => character.charCodeAt(0)))
)

/** The parts of a definition that models and users read. The rest, such as icons and `_meta`, may change. */
export const pinnedParts = (
  { annotations, description, execution, inputSchema, name, outputSchema, title }: Tool
): Record<string, unknown> => ({ annotations, description, execution, inputSchema, name, outputSchema, title })
