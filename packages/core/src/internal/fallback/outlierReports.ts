/**
 * Reports to outlier detection: an operation that failed on a server, a server that became unfit, and a server that stayed silent until the
 * caller gave up. `outlierDetection.ts` has the rule that ejects.
 */
import * as Effect from "effect/Effect"
import { RequestTimeout, SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { isFit } from "./candidates.ts"
import type { FallbackPort, FallbackServer } from "./fallbackPort.ts"
import { probe, probeConnected, type Target } from "./openSession.ts"
import { suspicionProbeTimeout } from "./outlierDetection.ts"

/** A caller that gives up earlier than this, in milliseconds, does not make the server suspect. */
const suspectAfter = 1000

/** Ejects a server, and probes it on behalf of `owner` until it is readmitted. */
const eject = (target: Target): Effect.Effect<void> => target.server.outliers.eject(probe(target))

/** Ejects servers that have become unfit, also by requests outside of fallback. Returns `Effect.void` itself if there are none. */
export const ejectUnfit = (options: {
  readonly port: FallbackPort
  readonly servers: ReadonlyArray<FallbackServer>
  readonly owner: string
}): Effect.Effect<void> => {
  const { owner, port, servers } = options
  const unfit = servers.filter((server) => !isFit(server) && !server.outliers.isEjected())
  if (unfit.length === 0) return Effect.void
  return Effect.forEach(unfit, (server) => eject({ port, server, owner }), { discard: true })
}

/** Records a failure that an operation fails over from, and ejects the server if it has become an outlier. */
export const recordFailure = (options: Target & { readonly error: SessionError }): Effect.Effect<void> =>
  Effect.flatMap(monotonic.now, (now) => {
    const { error, owner, server: { outliers } } = options
    return outliers.recordFailure({ error, owner, now }) ? eject(options) : Effect.void
  })

/** Suspects a server after its caller was interrupted, if the server has been silent since `startedAt`. */
export const suspect = (options: Target & { readonly startedAt: number }): Effect.Effect<void> =>
  Effect.flatMap(monotonic.now, (now) => {
    const { owner, server: { state, outliers, server }, startedAt } = options
    const isSilent = now - startedAt >= suspectAfter && (state.health.lastChecked ?? 0) <= startedAt
    if (!isSilent) return Effect.void
    const reason = new RequestTimeout({ method: "ping", timeout: suspicionProbeTimeout, delivery: "Unknown" })
    return outliers.suspect({
      check: probeConnected(options),
      timedOut: new SessionError({ server, reason }),
      probe: probe(options),
      owner
    })
  })
