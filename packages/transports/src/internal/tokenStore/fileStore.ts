/**
 * Token store in a directory: one file for each entry, shared by the processes of one user.
 *
 * `<hash of the key>.json` is the entry, `.lock` the lock of callers, `.write-lock` the lock of one compare-and-swap.
 */
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { join, resolve } from "node:path"
import { nameOf } from "./entry.ts"
import * as FileLock from "./fileLock.ts"
import * as KeyLock from "./keyLock.ts"
import * as PrivateFiles from "./privateFiles.ts"
import * as TextStore from "./textStore.ts"
import { failure, type TokenStoreFailed } from "./tokenStoreFailed.ts"
import type { Shape } from "./tokenStorePort.ts"

/** Returns the directory of the user for tokens. */
const defaultDirectory: Effect.Effect<string, TokenStoreFailed> = UserDirectories.make().state("mcp-sessions").pipe(
  Effect.map((path) => join(path, "tokens")),
  Effect.mapError(() =>
    failure({
      operation: "open",
      reason: "Unsupported",
      description: "this user has no home directory; name a directory for the tokens"
    })
  )
)

/** Locks of keys, shared by the processes that use the directory. */
export const locksIn = (directory: string, ending: string) =>
  KeyLock.make((key) =>
    Effect.andThen(
      PrivateFiles.ensureDirectory("lock", directory),
      FileLock.tryLock(join(directory, `${nameOf(key)}${ending}`))
    )
  )

const makeIn = (directory: string): Shape =>
  TextStore.make({
    texts: {
      nameOf: (key) => join(directory, `${nameOf(key)}.json`),
      read: PrivateFiles.read,
      write: PrivateFiles.replace,
      remove: PrivateFiles.remove,
      names: Effect.map(
        PrivateFiles.listFiles(directory, ".json"),
        (names) => names.map((name) => join(directory, name))
      )
    },
    exclusively: locksIn(directory, ".write-lock"),
    locked: locksIn(directory, ".lock")
  })

/** Makes a store in a directory, or in that of the user. Creates nothing until it is used. */
export const make = (directory: string | undefined): Effect.Effect<Shape, TokenStoreFailed> =>
  Effect.map(directory === undefined ? defaultDirectory : Effect.sync(() => resolve(directory)), makeIn)
