/**
 * Warnings of an attempt that is repeated: one for each change of the reason why it fails, not one for each attempt.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"

export class ChangedReasons {
  /** The tag of the latest reason. Its message has times, which change with each attempt. */
  #latest: string | undefined

  /** Logs a failure, unless the attempt before failed for the same reason. */
  warn(message: string, error: ConfigError | SessionError): Effect.Effect<void> {
    return Effect.suspend(() => {
      const reason = error._tag === "SessionError" ? error.reason._tag : error._tag
      if (reason === this.#latest) return Effect.void
      this.#latest = reason
      return Effect.logWarning(message, error)
    })
  }

  /** Forgets the reason once an attempt has succeeded. */
  get clear(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#latest = undefined
    })
  }
}
