/**
 * The report of closed connections for programs that bring none.
 */
import * as Effect from "effect/Effect"
import type { CleanupReport } from "../../Cleanup.ts"

/** Logs connections that did not close cleanly. */
export const logUncleanClose = ({ cause, outcome, server }: CleanupReport): Effect.Effect<void> =>
  outcome === "closed"
    ? Effect.void
    : Effect.logWarning(`the connection to ${server} did not close cleanly (${outcome})`, cause)
