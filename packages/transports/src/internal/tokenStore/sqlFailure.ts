/**
 * Failures of SQL statements, which are bounded in time.
 */
import type * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { failure, type Operation, type Reason, type TokenStoreFailed } from "./tokenStoreFailed.ts"

/** The time that a statement may take, the wait for a connection included. */
export const statementTimeout = "30 seconds"

/** Runs a statement where it belongs, within its time: `undefined` is the failure of one that takes longer. */
export type RunSql = <A>(statement: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError | undefined>

/** Makes the failure of a statement. Errors of databases may quote the row, so only class and code are kept. */
export const failSql =
  (operation: Operation, reason: Reason, place: string) => (error: SqlError | undefined): TokenStoreFailed =>
    failure({
      operation,
      reason,
      description: error === undefined
        ? `${place}: no response within ${statementTimeout}`
        : `${place}: ${error.reason._tag}`,
      error: error?.reason.cause
    })
