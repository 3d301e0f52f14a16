/**
 * The end of the requests of a gateway that is ending.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Quotas } from "./quotas.ts"

/** Waits until no request is in flight, up to a limit. Logs the number of requests at the start. */
export const whenIdle = (
  ...[quotas, limit]: readonly [quotas: Quotas, limit: Duration.Duration]
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { inFlight } = quotas
    if (inFlight === 0) return Effect.void
    const requests = inFlight === 1 ? "1 request" : `${inFlight} requests`
    const idle = Effect.callback<void>((resume) => quotas.whenIdle(() => resume(Effect.void)))
    return Effect.andThen(
      Effect.logInfo(`stopping: waiting for ${requests} in flight, for ${Duration.format(limit)} at most`),
      Effect.asVoid(Effect.timeoutOption(idle, limit))
    )
  })
