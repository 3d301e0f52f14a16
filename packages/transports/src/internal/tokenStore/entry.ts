/**
 * Entries of token stores, and how they are written as text.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, randomBytes } from "node:crypto"
import { failure, type Operation, type TokenStoreFailed } from "./tokenStoreFailed.ts"

/** A stored secret, and the version that names this write of it. */
export interface Entry {
  /** The secret. */
  readonly value: Redacted.Redacted<string>
  /** The version that names this write of the secret. */
  readonly version: string
}

/** The limit on an entry as text: tokens take some kilobytes. */
export const maxEntryBytes = 1_048_576

/** Makes the version of a write. Random, so that an entry that was removed and saved again is not mistaken for the earlier one. */
export const newVersion = (): string => randomBytes(12).toString("base64url")

/** Returns a name for a key that any store can hold: keys contain URLs and may be long. */
export const nameOf = (key: string): string => createHash("sha256").update(key).digest("hex").slice(0, 40)

const Record = Schema.fromJsonString(Schema.Struct({
  format: Schema.Literal(1),
  key: Schema.String,
  version: Schema.String,
  value: Schema.String
}))

const decodeRecord = Schema.decodeUnknownEffect(Record)
const encodeRecord = Schema.encodeSync(Record)

/** Writes an entry as text, with its key: the names of files and records are hashes. */
export const encode = (key: string, { value, version }: Entry): string =>
  encodeRecord({ format: 1, key, version, value: Redacted.value(value) })

/** Fails if the text of an entry is beyond the limit. */
export const checkSize = (text: string, description: string): Effect.Effect<void, TokenStoreFailed> =>
  Buffer.byteLength(text) <= maxEntryBytes
    ? Effect.void
    : failure({ operation: "put", reason: "TooLarge", description: `${description} exceeds ${maxEntryBytes} bytes` })

/** Reads an entry with its key. The error of the decoder is dropped, because it quotes the text. */
export const decode = (options: {
  readonly text: string
  readonly operation: Operation
  readonly description: string
}): Effect.Effect<Entry & { readonly key: string }, TokenStoreFailed> =>
  decodeRecord(options.text).pipe(
    Effect.map(({ key, value, version }) => ({ key, version, value: Redacted.make(value) })),
    Effect.mapError(() =>
      failure({
        operation: options.operation,
        reason: "Broken",
        description: `${options.description} is not an entry of a token store`
      })
    )
  )
