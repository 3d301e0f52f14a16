/**
 * Saves attachments of results to files of a directory.
 *
 * Files are new, readable by their owner alone and directly in the directory: nothing is overwritten, and no name of a server leads
 * elsewhere.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type { Attachment } from "./Attachment.ts"
import { SaveFailed, UsageError } from "./Failure.ts"
import { Invocation } from "./Invocation.ts"

/** How many files of one name are saved: `a.png`, `a-1.png`, … */
const copyLimit = 10_000

const codeOf = ({ reason }: PlatformError): string => reason._tag

/**
 * Makes the directory if it does not exist, and returns its path.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepare = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<string, UsageError, FileSystem.FileSystem | Path.Path | Invocation> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const absolute = path.resolve((yield* Invocation).directory, directory)
  yield* Effect.mapError(
    fs.makeDirectory(absolute, { recursive: true, mode: 0o700 }),
    (error) => new UsageError({ problems: [`--save: cannot make the directory ${directory} (${codeOf(error)})`] })
  )
  return absolute
})

/**
 * Saves an attachment in a directory that exists, and returns the path of the file.
 *
 * @category saving
 * @since 0.1.0
 */
export const save = Effect.fnUntraced(function*(options: {
  readonly attachment: Attachment
  readonly directory: string
}): Effect.fn.Return<string, SaveFailed, FileSystem.FileSystem | Path.Path> {
  const { attachment: { data, fileName }, directory } = options
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { ext, name } = path.parse(fileName)
  for (let copy = 0; copy < copyLimit; copy++) {
    const file = path.join(directory, copy === 0 ? fileName : `${name}-${copy}${ext}`)
    const isSaved = yield* fs.writeFile(file, data, { flag: "wx", mode: 0o600 }).pipe(
      Effect.as(true),
      Effect.catch((error) =>
        codeOf(error) === "AlreadyExists"
          ? Effect.succeed(false)
          : Effect.fail(new SaveFailed({ file, code: codeOf(error) }))
      )
    )
    if (isSaved) return file
  }
  return yield* new SaveFailed({ file: path.join(directory, fileName), code: "AlreadyExists" })
})
