/**
 * URLs that may have a password: they are in files or variables, which no process list shows.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../Failure.ts"
import { readFlagFile } from "./flagFile.ts"

/** Where a URL is from, and what it has to be. */
export interface UrlSource {
  /** The flag or the variable that an error names. */
  readonly where: string
  /** Whether a URL is one of the expected kind. */
  readonly isExpected: (url: URL) => boolean
  /** A URL of the expected kind. */
  readonly example: string
}

/** Reads a URL. An error never quotes it. */
export const decodeSecretUrl = (
  { example, isExpected, text, where }: UrlSource & { readonly text: string | undefined }
): Effect.Effect<Redacted.Redacted, UsageError> => {
  const trimmed = text?.trim() ?? ""
  const url = URL.parse(trimmed)
  return url !== null && isExpected(url)
    ? Effect.succeed(Redacted.make(trimmed))
    : Effect.fail(
      new UsageError({ problems: [`${where}: expected a URL such as ${example}`] })
    )
}

/** Reads a URL from the file of a flag. */
export const readSecretUrl = (
  { flag, path, ...source }: Omit<UrlSource, "where"> & { readonly flag: string; readonly path: string }
) => Effect.flatMap(readFlagFile({ flag, path }), (text) => decodeSecretUrl({ ...source, text, where: `--${flag}` }))
