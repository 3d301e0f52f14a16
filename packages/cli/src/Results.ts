/**
 * Prints results of servers: their text, their pictures where the terminal shows them, and where their attachments were saved.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type { Part } from "./Content.ts"
import type { SaveFailed } from "./Failure.ts"
import { Invocation } from "./Invocation.ts"
import { Output, type OutputClosed } from "./Output.ts"
import * as Picture from "./Picture.ts"
import { save } from "./Save.ts"
import { name } from "./Shown.ts"

const encoder = new TextEncoder()

/**
 * Prints the parts of a result. With a `directory`, attachments are saved there and their paths are printed in their place.
 *
 * @category printing
 * @since 0.1.0
 */
export const printParts = Effect.fnUntraced(function*(options: {
  readonly parts: ReadonlyArray<Part>
  readonly directory: string | undefined
}): Effect.fn.Return<
  void,
  OutputClosed | SaveFailed,
  Output | Invocation | FileSystem.FileSystem | Path.Path
> {
  const { directory, parts } = options
  const output = yield* Output
  const invocation = yield* Invocation
  for (const { attachment, text } of parts) {
    const picture = attachment === undefined ? undefined : Picture.encode({ attachment, invocation })
    if (picture !== undefined) yield* output.printBytes(encoder.encode(`${picture}\n`))
    if (attachment !== undefined && directory !== undefined) {
      yield* output.print(name(yield* save({ attachment, directory })))
    } else if (picture === undefined && text !== "") yield* output.printContent(text)
  }
})

/**
 * Saves the attachments of a result, and returns their paths.
 *
 * @category saving
 * @since 0.1.0
 */
export const saveParts = Effect.fnUntraced(function*(options: {
  readonly parts: ReadonlyArray<Part>
  readonly directory: string
}): Effect.fn.Return<ReadonlyArray<string>, SaveFailed, FileSystem.FileSystem | Path.Path> {
  const { directory, parts } = options
  return yield* Effect.forEach(
    parts.flatMap(({ attachment }) => attachment === undefined ? [] : [attachment]),
    (attachment) => save({ attachment, directory })
  )
})
