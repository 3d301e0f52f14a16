/**
 * Health of a server: a plain record, fed by connects and calls, read by a pure function of the record and the time.
 *
 * Only failures of the channel count (refused, timed out, lost). A server that answers with an error, be it a JSON-RPC
 * error or a tool that failed, is alive.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { SessionError } from "./SessionError.ts"

/**
 * What is known of a server. `lastChecked` is in milliseconds since the epoch, `undefined` before the first contact.
 *
 * @category models
 * @since 0.1.0
 */
export interface Health {
  /** Channel failures in a row; an answer of any kind sets it to 0. */
  readonly errorCount: number
  /** When the server last answered or failed to. */
  readonly lastChecked: number | undefined
  /** The latest channel failure. Kept after recovery, so that it can be looked at. */
  readonly lastError: SessionError | undefined
}

/**
 * A reading of {@link Health} at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthReport extends Health {
  readonly isHealthy: boolean
}

/**
 * Channel failures in a row that a healthy server may have: one more and it is unhealthy. Default and value: 3, so that a
 * single round of the default retry policy does not condemn a server.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxErrors = 3

/**
 * How long a reading counts. Older means unknown, which is not healthy. Value: 5 minutes, the time after which proxies
 * commonly drop an idle connection.
 *
 * @category defaults
 * @since 0.1.0
 */
export const staleAfter: Duration.Duration = Duration.minutes(5)

/**
 * Health of a server that was never contacted. Not healthy: nothing is known.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unknown: Health = { errorCount: 0, lastChecked: undefined, lastError: undefined }

/**
 * Health after the server answered.
 *
 * @category transitions
 * @since 0.1.0
 */
export const answered = (options: { readonly health: Health; readonly now: number }): Health => ({
  errorCount: 0,
  lastChecked: options.now,
  lastError: options.health.lastError
})

/**
 * Health after an error. Errors that the server itself gave leave it as after an answer, errors raised before anything
 * went near the server leave it as it was.
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
      return answered({ health, now })
    case "untouched":
      return health
    case "failed":
      return { errorCount: health.errorCount + 1, lastChecked: now, lastError: error }
  }
}

/**
 * Whether a server counts as healthy at `now` (milliseconds since the epoch): contacted, not more than {@link maxErrors}
 * failures in a row, and not longer ago than {@link staleAfter}.
 *
 * **Example** (Aging of a reading)
 *
 * ```ts import.meta.vitest
 * import { Health } from "@mcp-sessions/core"
 *
 * const health = Health.answered({ health: Health.unknown, now: 0 })
 * Health.isHealthy({ health, now: 300_000 }) // => true
 * Health.isHealthy({ health, now: 300_001 }) // => false
 * Health.isHealthy({ health: Health.unknown, now: 0 }) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isHealthy = (options: { readonly health: Health; readonly now: number }): boolean =>
  options.health.lastChecked !== undefined &&
  options.health.errorCount <= maxErrors &&
  options.now - options.health.lastChecked <= Duration.toMillis(staleAfter)

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
