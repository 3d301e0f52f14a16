/**
 * Locks of a token store in SQLite.
 *
 * A transaction that is held during a renewal would stop every other user of the database, which has one writer. So a lock is a file beside
 * the database. A database in memory has no other process.
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Fs from "node:fs"
import * as FileStore from "./fileStore.ts"
import * as KeyLock from "./keyLock.ts"
import { failSql, type RunSql, statementTimeout } from "./sqlFailure.ts"
import { failure, type TokenStoreFailed } from "./tokenStoreFailed.ts"
import type { Locked } from "./tokenStorePort.ts"

const locksOf = (file: string | null): Locked => {
  if (file === null || file === "") return KeyLock.make()
  if (Fs.existsSync(file)) return FileStore.locksIn(`${file}-locks`, ".lock")
  // The database of a server.
  return () =>
    failure({ operation: "lock", reason: "Unsupported", description: `the database ${file} is not on this machine` })
}

/** Returns the locks of the database of a client, and runs its statements. */
export const make = Effect.fnUntraced(function*(
  sql: SqlClient
): Effect.fn.Return<{ readonly run: RunSql; readonly locked: Locked }, TokenStoreFailed> {
  const run: RunSql = (statement) =>
    Effect.timeoutOrElse(statement, { duration: statementTimeout, orElse: () => Effect.fail(undefined) })
  const databases = yield* sql<{ readonly name: string; readonly file: string | null }>`PRAGMA database_list`.pipe(
    run,
    Effect.mapError(failSql("open", "Unreadable", "the name of the database"))
  )
  const main = databases.find(({ name }) => name === "main")
  return { run, locked: locksOf(main === undefined ? null : main.file) }
})
