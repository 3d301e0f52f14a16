/**
 * Files that flags name.
 */
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { readRegularFile } from "../internal/regularFile.ts"
import { Invocation } from "../Invocation.ts"

/** Reads the file of a flag, of at most 1 MiB. The error names the flag. */
export const readFlagFile = Effect.fnUntraced(
  function*({ flag, path }: { readonly flag: string; readonly path: string }) {
    const { directory } = yield* Invocation
    return yield* Effect.mapError(
      readRegularFile({ directory, path, mebibytes: 1 }),
      (problem) => new UsageError({ problems: [`--${flag}: ${problem}`] })
    )
  }
)
