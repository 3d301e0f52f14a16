/**
 * Port of fallback: what it needs from the registry of servers.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../../ConfigError.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import type { ToolLedger } from "../request/toolLedger.ts"
import type { ServerState } from "../server/serverState.ts"
import type { OutlierDetector } from "./outlierDetection.ts"
import type { PanicMode } from "./panicMode.ts"

/** A failure that is not the operation's own. */
export type Failure = SessionError | ConfigError

/** A server that operations may fail over to. */
export interface FallbackServer {
  readonly server: string
  readonly state: ServerState
  readonly outliers: OutlierDetector
}

/** Access to named servers and their sessions. */
export interface FallbackPort {
  readonly panicMode: PanicMode
  readonly find: (server: string) => Effect.Effect<FallbackServer, ConfigError>
  /** Opens a session that makes one connect attempt, and records its tool calls in the ledger. */
  readonly openSession: (options: {
    readonly server: string
    readonly owner: string
    readonly retry: RetryPolicy
    readonly ledger: ToolLedger
  }) => Effect.Effect<Session, Failure, Scope.Scope>
}
