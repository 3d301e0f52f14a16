/**
 * Locks of a token store in PostgreSQL: advisory locks of a transaction, which end with its connection.
 *
 * The transaction belongs to the lock. The statements of the store that run under the lock use its connection, so that a full pool cannot
 * stop them, each behind a savepoint. The transaction is committed however the locked effect ends: what was saved stays saved.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import * as KeyLock from "./keyLock.ts"
import { failSql, type RunSql, statementTimeout } from "./sqlFailure.ts"
import type { Locked } from "./tokenStorePort.ts"

/** The transaction of a lock, for the statements under it. */
interface LockTransaction {
  readonly sql: SqlClient
  readonly connection: Connection
  /** Statements of one transaction run one after another, because each has a savepoint. */
  readonly turn: Semaphore.Semaphore
  isOpen: boolean
  readonly outer: LockTransaction | undefined
}

const CurrentLock = Context.Reference<LockTransaction | undefined>(
  "@mcp-sessions/transports/internal/tokenStore/postgresLock",
  { defaultValue: () => undefined }
)

/** Finds the transaction of a client under whose lock the fiber runs: locks of several databases may nest. */
const transactionOf = (sql: SqlClient) =>
  Effect.map(CurrentLock, (current) => {
    let found = current
    while (found !== undefined && (found.sql !== sql || !found.isOpen)) found = found.outer
    return found
  })

const command = (connection: Connection, text: string): Effect.Effect<void, SqlError> =>
  Effect.asVoid(connection.executeUnprepared(text, [], undefined))

const savepoint = "mcp_sessions_entry"

/** Runs a statement in the transaction of a lock. A statement that fails does not end the transaction. */
const within = <A>(transaction: LockTransaction, statement: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> => {
  const { connection, sql, turn } = transaction
  const undo = Effect.andThen(
    command(connection, `ROLLBACK TO SAVEPOINT ${savepoint}`),
    command(connection, `RELEASE SAVEPOINT ${savepoint}`)
  )
  return Semaphore.withPermit(
    turn,
    Effect.uninterruptibleMask((restore) =>
      Effect.andThen(
        command(connection, `SAVEPOINT ${savepoint}`),
        Effect.onExit(
          restore(Effect.provideService(statement, sql.transactionService, [connection, 0])),
          (exit) => Exit.isSuccess(exit) ? command(connection, `RELEASE SAVEPOINT ${savepoint}`) : Effect.ignore(undo)
        )
      )
    )
  )
}

const begin = Effect.fnUntraced(function*(sql: SqlClient, scope: Scope.Scope) {
  const connection = yield* Scope.provide(sql.reserve, scope)
  const outer = yield* CurrentLock
  const transaction: LockTransaction = { sql, connection, turn: Semaphore.makeUnsafe(1), isOpen: true, outer }
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => transaction.isOpen ? Effect.ignore(command(connection, "ROLLBACK")) : Effect.void)
  )
  yield* command(connection, "BEGIN")
  return transaction
})

/** Runs an effect in the transaction of its lock, and commits. */
const held = (transaction: LockTransaction, place: string): KeyLock.Held => ({
  run: (effect) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(restore(Effect.provideService(effect, CurrentLock, transaction)))
        transaction.isOpen = false
        const commit = yield* command(transaction.connection, "COMMIT").pipe(
          Effect.mapError(failSql("lock", "Unwritable", place)),
          Effect.exit
        )
        if (Exit.isSuccess(exit) && Exit.isFailure(commit)) return yield* Effect.failCause(commit.cause)
        return yield* exit
      })
    )
})

/** A number of 64 bits for the lock of a key of a table, as PostgreSQL reads it. */
const lockIdOf = (table: string, key: string): string =>
  createHash("sha256").update(JSON.stringify(["mcp-sessions", table, key])).digest().readBigInt64BE(0).toString()

/** Returns the locks of a table, and runs the statements of the store. */
export const make = (sql: SqlClient, table: string): { readonly run: RunSql; readonly locked: Locked } => {
  const withoutTransaction = (context: Context.Context<never>): Context.Context<never> =>
    Context.omit(sql.transactionService)(context)

  const run: RunSql = (statement) =>
    Effect.flatMap(
      transactionOf(sql),
      (transaction) =>
        transaction === undefined
          ? Effect.updateContext(statement, withoutTransaction)
          : within(transaction, statement)
    ).pipe(Effect.timeoutOrElse({ duration: statementTimeout, orElse: () => Effect.fail(undefined) }))

  const tryLock = (key: string) =>
    sql<{ readonly is_locked: boolean }>`
      SELECT pg_try_advisory_xact_lock(CAST(CAST(${lockIdOf(table, key)} AS text) AS bigint)) AS is_locked
    `.pipe(Effect.map(([row]) => row?.is_locked === true))

  const locked = KeyLock.make((key) =>
    Effect.gen(function*() {
      const current = yield* transactionOf(sql)
      // A second connection could wait for the first: a pool is finite.
      if (current !== undefined) return (yield* within(current, tryLock(key))) ? KeyLock.unshared : undefined
      const scope = yield* Scope.fork(yield* Effect.scope)
      const transaction = yield* begin(sql, scope)
      if (yield* within(transaction, tryLock(key))) return held(transaction, `table ${table}`)
      yield* Scope.close(scope, Exit.void)
      return undefined
    }).pipe(Effect.mapError(failSql("lock", "LockFailed", `table ${table}`)))
  )

  return { run, locked }
}
