/**
 * Port of a pool: what it needs from the registry of servers, and what it offers.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../../ConfigError.ts"
import type { Health } from "../../Health.ts"
import type { Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import type { ServerTelemetry } from "../telemetry/serverTelemetry.ts"
import type { PoolIdentity } from "./allocation.ts"

export type Failure = SessionError | ConfigError

/** Access to one server. */
export interface PoolPort {
  /** Opens a session with a connection of its own. */
  readonly open: (owner: string) => Effect.Effect<Session, Failure, Scope.Scope>
  /** The identity of an owner, by its credentials of now. */
  readonly identity: (owner: string) => Effect.Effect<PoolIdentity, Failure>
  readonly health: Effect.Effect<Health>
  readonly telemetry: ServerTelemetry
}

/** Counts of a pool, as in `SessionPoolStats`. */
export interface PoolStats {
  readonly total: number
  readonly active: number
  readonly idle: number
  readonly waiting: number
  readonly max: number
}

/** The fields of `AcquireTimeout`. */
export interface AcquireTimeoutFields extends Omit<PoolStats, "max"> {
  readonly server: string
  readonly owner: string
  readonly timeout: number
  readonly lastError?: SessionError
}
