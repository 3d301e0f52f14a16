/**
 * Files that only their owner can read: checks, reads and atomic writes.
 */
import * as Effect from "effect/Effect"
import { constants, type Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import { dirname } from "node:path"
import * as process from "node:process"
import { maxEntryBytes } from "./entry.ts"
import { failure, isTokenStoreFailed, type Operation, type Reason, type TokenStoreFailed } from "./tokenStoreFailed.ts"

const isPosix = process.platform !== "win32"

/** Neither follows a link nor waits for a pipe. Windows has neither modes nor these flags. */
const regularOnly = isPosix ? constants.O_NOFOLLOW | constants.O_NONBLOCK : 0

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT"

/** Runs file operations to their end, even if the fiber is interrupted: half of a write must not go on after a lock is released. */
const attempt = <A>(options: {
  readonly operation: Operation
  readonly reason: Reason
  readonly path: string
  readonly run: () => Promise<A>
}): Effect.Effect<A, TokenStoreFailed> =>
  Effect.uninterruptible(Effect.tryPromise({
    try: options.run,
    catch: (error) =>
      isTokenStoreFailed(error)
        ? error
        : failure({ operation: options.operation, reason: options.reason, description: options.path, error })
  }))

/** Takes the rights of others away, and refuses what belongs to another user, who could have put it there. */
const makePrivate = async (options: {
  readonly operation: Operation
  readonly path: string
  readonly stats: Stats
  readonly mode: number
  readonly chmod: (mode: number) => Promise<void>
}): Promise<void> => {
  const { chmod, mode, operation, path, stats } = options
  if (!isPosix) return
  const exposed = (description: string) => failure({ operation, reason: "Exposed", description })
  if (stats.uid !== process.getuid?.()) throw exposed(`${path} belongs to another user`)
  if ((stats.mode & 0o077) === 0) return
  try {
    await chmod(mode)
  } catch {
    throw exposed(`${path} can be used by others, and its mode cannot be changed to ${mode.toString(8)}`)
  }
}

const checkDirectory = async (operation: Operation, path: string): Promise<void> => {
  const stats = await Fs.stat(path)
  await makePrivate({ operation, path, stats, mode: 0o700, chmod: (mode) => Fs.chmod(path, mode) })
}

/** Creates the directory if it is missing, for its owner only. */
export const ensureDirectory = (operation: Operation, path: string): Effect.Effect<void, TokenStoreFailed> =>
  attempt({
    operation,
    reason: "Unwritable",
    path,
    run: async () => {
      await Fs.mkdir(path, { recursive: true, mode: 0o700 })
      await checkDirectory(operation, path)
    }
  })

/** Reads a file of at most the size of an entry; `undefined` if it or its directory is missing. */
export const read = (operation: Operation, path: string): Effect.Effect<string | undefined, TokenStoreFailed> =>
  attempt({
    operation,
    reason: "Unreadable",
    path,
    run: async () => {
      try {
        await checkDirectory(operation, dirname(path))
        await using file = await Fs.open(path, constants.O_RDONLY | regularOnly)
        const stats = await file.stat()
        await makePrivate({ operation, path, stats, mode: 0o600, chmod: (mode) => file.chmod(mode) })
        if (!stats.isFile() || stats.size > maxEntryBytes) {
          throw failure({ operation, reason: "Broken", description: `${path} is not an entry of a token store` })
        }
        return await file.readFile("utf8")
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    }
  })

/** Makes the names in a directory survive a crash of the machine. Windows does that by itself. */
const syncDirectory = async (path: string): Promise<void> => {
  if (!isPosix) return
  await using directory = await Fs.open(path, constants.O_RDONLY)
  await directory.sync()
}

/**
 * Replaces a file as a whole: a process that dies at any point leaves the old text or the new one. At most one writer at a time, so the
 * temporary file has one name, and the next writer replaces one that was left.
 */
export const replace = (path: string, text: string): Effect.Effect<void, TokenStoreFailed> =>
  attempt({
    operation: "put",
    reason: "Unwritable",
    path,
    run: async () => {
      const temporary = `${path}.tmp`
      try {
        await Fs.rm(temporary, { force: true })
        {
          await using file = await Fs.open(temporary, "wx", 0o600)
          await file.writeFile(text)
          await file.sync()
        }
        await Fs.rename(temporary, path)
      } catch (error) {
        await Fs.rm(temporary, { force: true }).catch(() => {})
        throw error
      }
      await syncDirectory(dirname(path))
    }
  })

/** Removes a file, and says whether there was one. */
export const remove = (path: string): Effect.Effect<boolean, TokenStoreFailed> =>
  attempt({
    operation: "remove",
    reason: "Unwritable",
    path,
    run: async () => {
      try {
        await Fs.unlink(path)
      } catch (error) {
        if (isMissing(error)) return false
        throw error
      }
      await syncDirectory(dirname(path))
      return true
    }
  })

/** Lists the files of a directory with an ending, sorted; none if the directory is missing. */
export const listFiles = (path: string, ending: string): Effect.Effect<ReadonlyArray<string>, TokenStoreFailed> =>
  attempt({
    operation: "list",
    reason: "Unreadable",
    path,
    run: async () => {
      try {
        return (await Fs.readdir(path)).filter((name) => name.endsWith(ending)).toSorted()
      } catch (error) {
        if (isMissing(error)) return []
        throw error
      }
    }
  })
