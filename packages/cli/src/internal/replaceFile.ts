/**
 * Writes files as a whole.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { promises as fs } from "node:fs"
import { resolve } from "node:path"

/**
 * Replaces a file, or creates it: readers see the old text or the new one. Fails with the reason of the system and the absolute path.
 */
export const replaceFile = ({ directory, mode = 0o666, path, text }: {
  /** The directory that a relative path starts from. */
  readonly directory: string
  readonly path: string
  readonly text: string
  readonly mode?: number | undefined
}): Effect.Effect<void, string> =>
  Effect.suspend(() => {
    const absolute = resolve(directory, path)
    const draft = `${absolute}.${randomUUID()}`
    return Effect.tryPromise({
      try: async () => {
        try {
          await fs.writeFile(draft, text, { flag: "wx", mode })
          await fs.rename(draft, absolute)
        } catch (error) {
          await fs.rm(draft, { force: true })
          throw error
        }
      },
      catch: (error) =>
        `the file cannot be written (${
          error instanceof Error && "code" in error ? String(error.code) : "unknown error"
        }): ${absolute}`
    })
  })

/** Makes a directory that only its user can read, unless it is there. Fails with the reason of the system. */
export const makePrivateDirectory = (path: string): Effect.Effect<void, string> =>
  Effect.asVoid(Effect.tryPromise({
    try: () => fs.mkdir(path, { recursive: true, mode: 0o700 }),
    catch: (error) =>
      `the directory cannot be made (${
        error instanceof Error && "code" in error ? String(error.code) : "unknown error"
      }): ${path}`
  }))
