/**
 * Health of a server: a plain record, updated by connects and requests. A pure function of the record and the time derives the status from it.
 *
 * Only failures of the channel count: refused, timed out, lost. A server that responds with a JSON-RPC error or a tool error is
 * healthy.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { SessionError } from "./SessionError.ts"

/**
 * The health record of a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Health {
  /** Channel failures in a row. A response of any kind resets it to 0. */
  readonly errorCount: number
  /** Time of the latest response or failure, in milliseconds since the epoch; `undefined` before the first contact. */
  readonly lastChecked: number | undefined
  /** The latest channel failure. Kept after recovery. */
  readonly lastError: SessionError | undefined
  /** Whether the latest attempt to connect failed. A successful connect resets it. */
  readonly isConnectFailing: boolean
}

/**
 * A health record and what it means at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthReport extends Health {
  /** Whether the server was healthy at that moment, as `isHealthy` of this module decides. */
  readonly isHealthy: boolean
}

/**
 * The number of channel failures in a row that a healthy server may have; one more makes it unhealthy. Value: 3.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxErrors = 3

/**
 * The age at which a record is stale; the server then counts as unhealthy until the next contact. Value: 5 minutes, after which proxies
 * commonly drop an idle connection.
 *
 * @category defaults
 * @since 0.1.0
 */
export const staleAfter: Duration.Duration = Duration.minutes(5)

/**
 * Health of a server before the first contact. Not healthy: nothing is known.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unknown: Health = {
  errorCount: 0,
  lastChecked: undefined,
  lastError: undefined,
  isConnectFailing: false
}

/**
 * Health after a response of the server.
 *
 * @category transitions
 * @since 0.1.0
 */
export const succeeded = (options: { readonly health: Health; readonly now: number }): Health => ({
  ...options.health,
  errorCount: 0,
  lastChecked: options.now
})

/**
 * Health after a completed handshake.
 *
 * @category transitions
 * @since 0.1.0
 */
export const connected = (options: { readonly health: Health; readonly now: number }): Health => ({
  ...succeeded(options),
  isConnectFailing: false
})

/**
 * Health after a failed request. An error that the server itself gave counts as a response; an error that was raised before anything was
 * sent changes nothing.
 *
 * @category transitions
 * @since 0.1.0
 */
export const failed = (options: {
  readonly health: Health
  readonly error: SessionError
  readonly now: number
}): Health => {
  const { error, health, now } = options
  switch (error.reason.health) {
    case "alive":
      return succeeded({ health, now })
    case "untouched":
      return health
    case "failed":
      return { ...health, errorCount: health.errorCount + 1, lastChecked: now, lastError: error }
  }
}

/**
 * Health after a failed attempt to connect. A server that refuses the handshake, such as for missing credentials, is alive but cannot be
 * used: it is unhealthy at once, until a connect succeeds.
 *
 * @category transitions
 * @since 0.1.0
 */
export const connectFailed = (options: {
  readonly health: Health
  readonly error: SessionError
  readonly now: number
}): Health => {
  const { error, now } = options
  const health = failed(options)
  return error.reason.health === "untouched"
    ? health
    : { ...health, lastChecked: now, lastError: error, isConnectFailing: true }
}

/**
 * Whether a server is healthy at `now` (milliseconds since the epoch): contacted, connectable, at most {@link maxErrors} failures in a
 * row, and contacted within {@link staleAfter}.
 *
 * **Example** (A record that becomes stale)
 *
 * ```ts import.meta.vitest
 * import { Health } from "@mcp-sessions/core"
 *
 * const health = Health.succeeded({ health: Health.unknown, now: 0 })
 * Health.isHealthy({ health, now: 300_000 }) // => true
 * Health.isHealthy({ health, now: 300_001 }) // => false
 * Health.isHealthy({ health: Health.unknown, now: 0 }) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isHealthy = (options: { readonly health: Health; readonly now: number }): boolean => {
  const { health: { errorCount, isConnectFailing, lastChecked }, now } = options
  return lastChecked !== undefined && !isConnectFailing && errorCount <= maxErrors &&
    now - lastChecked <= Duration.toMillis(staleAfter)
}

/**
 * Reads a record at `now`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const report = (options: { readonly health: Health; readonly now: number }): HealthReport => ({
  ...options.health,
  isHealthy: isHealthy(options)
})
