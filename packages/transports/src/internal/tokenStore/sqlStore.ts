/**
 * Token store in a table of PostgreSQL or SQLite.
 *
 * A compare-and-swap is one statement. On PostgreSQL the statements run outside of a transaction that the program has open, so a rollback of
 * the program does not undo a renewal that the authorization server has seen.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import { checkSize, type Entry, newVersion } from "./entry.ts"
import * as PostgresLock from "./postgresLock.ts"
import { failSql, type RunSql, statementTimeout } from "./sqlFailure.ts"
import * as SqliteLock from "./sqliteLock.ts"
import { failure, type TokenStoreFailed } from "./tokenStoreFailed.ts"
import type { Shape } from "./tokenStorePort.ts"

interface Row {
  readonly entry_key: string
  readonly entry_value: string
  readonly entry_version: string
}

const entryOf = (row: Pick<Row, "entry_value" | "entry_version">): Entry => ({
  value: Redacted.make(row.entry_value),
  version: row.entry_version
})

/** Makes the table, unless it is there. Another process may make it at the same moment, and a user may lack the right to. */
const ensureTable = Effect.fnUntraced(function*(sql: SqlClient, table: string) {
  const isThere = sql`SELECT 1 FROM ${sql(table)} WHERE 1 = 0`
  yield* isThere.pipe(
    Effect.catch(() =>
      sql`CREATE TABLE IF NOT EXISTS ${sql(table)} (
        entry_key TEXT PRIMARY KEY,
        entry_value TEXT NOT NULL,
        entry_version TEXT NOT NULL
      )`.pipe(Effect.catch((error) => Effect.mapError(isThere, () => error)))
    ),
    Effect.timeoutOrElse({ duration: statementTimeout, orElse: () => Effect.fail(undefined) }),
    Effect.mapError(failSql("open", "Unwritable", `table ${table}`))
  )
})

const makeStore = (options: {
  readonly sql: SqlClient
  readonly table: string
  readonly run: RunSql
  readonly locked: Shape["locked"]
}): Shape => {
  const { locked, run, sql, table } = options
  const name = sql(table)
  const place = `table ${table}`

  const get = (operation: "get" | "put", key: string) =>
    sql<Row>`SELECT entry_value, entry_version FROM ${name} WHERE entry_key = ${key}`.pipe(
      run,
      Effect.mapError(failSql(operation, "Unreadable", place)),
      Effect.map(([row]) => row === undefined ? undefined : entryOf(row))
    )

  return {
    get: (key) => get("get", key),
    put: Effect.fnUntraced(function*({ key, value, version }) {
      const text = Redacted.value(value)
      yield* checkSize(text, place)
      const next = newVersion()
      const write = version === undefined
        ? sql<Row>`INSERT INTO ${name} (entry_key, entry_value, entry_version) VALUES (${key}, ${text}, ${next})
            ON CONFLICT (entry_key) DO NOTHING RETURNING entry_version`
        : sql<Row>`UPDATE ${name} SET entry_value = ${text}, entry_version = ${next}
            WHERE entry_key = ${key} AND entry_version = ${version} RETURNING entry_version`
      const rows = yield* write.pipe(run, Effect.mapError(failSql("put", "Unwritable", place)))
      if (rows.length > 0) return { isSaved: true, entry: { value, version: next } }
      return { isSaved: false, entry: yield* get("put", key) }
    }),
    remove: ({ key, version }) =>
      (version === undefined
        ? sql<Row>`DELETE FROM ${name} WHERE entry_key = ${key} RETURNING entry_version`
        : sql<Row>`DELETE FROM ${name} WHERE entry_key = ${key} AND entry_version = ${version} RETURNING entry_version`)
        .pipe(
          run,
          Effect.mapError(failSql("remove", "Unwritable", place)),
          Effect.map((rows) => rows.length > 0)
        ),
    list: (prefix) =>
      sql<Row>`SELECT entry_key FROM ${name} WHERE substr(entry_key, 1, ${[...prefix].length}) = ${prefix}`.pipe(
        run,
        Effect.mapError(failSql("list", "Unreadable", place)),
        Effect.map((rows) => rows.map((row) => row.entry_key).toSorted())
      ),
    locked
  }
}

const unsupported = failure({
  operation: "open",
  reason: "Unsupported",
  description: "only PostgreSQL and SQLite have the locks that it needs"
})

/** Makes a token store in a table, which is created if it is missing. */
export const make = Effect.fnUntraced(
  function*(client: SqlClient, table: string): Effect.fn.Return<Shape, TokenStoreFailed> {
    const sql = client.withoutTransforms()
    const dialect = sql.onDialectOrElse({
      pg: () => "pg" as const,
      sqlite: () => "sqlite" as const,
      orElse: () => undefined
    })
    if (dialect === undefined) return yield* unsupported
    yield* ensureTable(sql, table)
    const { locked, run } = dialect === "pg" ? PostgresLock.make(sql, table) : yield* SqliteLock.make(sql)
    return makeStore({ sql, table, run, locked })
  }
)
