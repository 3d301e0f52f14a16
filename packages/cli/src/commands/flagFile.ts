/**
 * Files that flags name.
 */
import type { FileRefused } from "@mcp-sessions/core/Host"
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { readRegular } from "../internal/regularFile.ts"
import { Invocation } from "../Invocation.ts"

interface FlagFile {
  readonly flag: string
  readonly path: string
}

const read = (path: string) =>
  Effect.flatMap(Invocation, ({ directory }) => readRegular({ directory, path, mebibytes: 1 }))

const toUsageError = (flag: string) => ({ message }: FileRefused) =>
  new UsageError({ problems: [`--${flag}: ${message}`] })

/** Reads the file of a flag, of at most 1 MiB. The error names the flag. */
export const readFlagFile = ({ flag, path }: FlagFile): Effect.Effect<string, UsageError, Invocation> =>
  Effect.mapError(read(path), toUsageError(flag))

/** Reads the file of a flag as {@link readFlagFile} does. Succeeds with `undefined` if the file does not exist. */
export const readFlagFileIfThere = (
  { flag, path }: FlagFile
): Effect.Effect<string | undefined, UsageError, Invocation> =>
  Effect.catch(
    read(path),
    (refused) => refused.reason === "Missing" ? Effect.undefined : Effect.fail(toUsageError(flag)(refused))
  )
