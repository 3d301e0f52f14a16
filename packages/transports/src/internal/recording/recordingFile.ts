/**
 * The file of a recording.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"

interface Options<E> {
  readonly file: string
  readonly onError: (cause: unknown) => E
}

/** Creates the file, readable by its owner only, and returns the function that writes a line. */
export const open = <E>({ file, onError }: Options<E>): Effect.Effect<(line: string) => void, E, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => {
          const descriptor = Fs.openSync(file, "w", 0o600)
          // An existing file keeps its mode when it is opened.
          Fs.fchmodSync(descriptor, 0o600)
          return descriptor
        },
        catch: onError
      }),
      (descriptor) => Effect.sync(() => Fs.closeSync(descriptor))
    ),
    (descriptor) => (line) => void Fs.writeSync(descriptor, `${line}\n`)
  )

/** Reads the lines of the file. */
export const readLines = <E>({ file, onError }: Options<E>): Effect.Effect<ReadonlyArray<string>, E> =>
  Effect.try({ try: () => Fs.readFileSync(file, "utf8").split("\n"), catch: onError })
