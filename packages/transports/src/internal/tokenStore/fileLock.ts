/**
 * Locks between processes, which the kernel frees when their holder dies, however it dies.
 *
 * Node has no `flock`. SQLite locks its database files with the kernel's locks, so an exclusive transaction on an empty database is such a
 * lock. The file stays empty, and is never removed: a process that waits could otherwise lock a file that is no longer there.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import * as KeyLock from "./keyLock.ts"
import { failure, type TokenStoreFailed } from "./tokenStoreFailed.ts"

/** The result code of SQLite for a database that another connection has locked. */
const busy = 5

const isBusy = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "errcode" in error && typeof error.errcode === "number" &&
  (error.errcode & 0xff) === busy

const failed = (file: string) => (error: unknown): TokenStoreFailed =>
  failure({ operation: "lock", reason: "LockFailed", description: `the lock file ${file}`, error })

/** Loaded on the first lock: not every runtime has it, and other stores do not need it. */
const loadSqlite = (file: string) => Effect.tryPromise({ try: () => import("node:sqlite"), catch: failed(file) })

/** Opens the file and locks it; `undefined` if another connection has locked it. */
const lock = (open: typeof DatabaseSync, file: string): DatabaseSync | undefined => {
  const database = new open(file, { timeout: 0 })
  try {
    database.exec("BEGIN EXCLUSIVE")
    // By its path: closing another descriptor of this file would free the lock.
    Fs.chmodSync(file, 0o600)
    return database
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

/** Tries to lock a file from other processes until the scope closes. The directory must exist. */
export const tryLock = (file: string): ReturnType<KeyLock.TryLock> =>
  Effect.flatMap(loadSqlite(file), ({ DatabaseSync }) =>
    Effect.acquireRelease(
      Effect.try({ try: () => lock(DatabaseSync, file), catch: failed(file) }),
      (database) => Effect.sync(() => database?.close())
    )).pipe(Effect.map((database) => database === undefined ? undefined : KeyLock.unshared))
