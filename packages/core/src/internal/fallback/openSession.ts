/**
 * Opens sessions of one server for fallback: for an attempt, or only to probe the server with a ping.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Health from "../../Health.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import { CredentialsFailed, SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { open, tagError, type ToolLedger } from "../request/toolLedger.ts"
import { ClientSession } from "../session/clientSession.ts"
import type { Failure, FallbackPort, FallbackServer } from "./fallbackPort.ts"

const staleMillis = Duration.toMillis(Health.staleAfter)

/** A server as one owner uses it. */
export interface Target {
  readonly port: FallbackPort
  readonly server: FallbackServer
  readonly owner: string
}

/** Opens a session for one attempt. A server without contact for `Health.staleAfter` is probed first. */
export const openFresh = (
  { ledger, owner, port, retry, server: { state, server } }: Target & {
    readonly retry: RetryPolicy.RetryPolicy
    readonly ledger: ToolLedger
  }
): Effect.Effect<Session, Failure, Scope.Scope> =>
  port.openSession({ server, owner, retry, ledger }).pipe(
    // A failure to open is one of this attempt: no tool has run.
    Effect.mapError((error) => error._tag === "SessionError" ? tagError({ error, ledger }) : error),
    Effect.flatMap((session) =>
      Effect.withFiber((fiber) => {
        const { lastChecked } = state.health
        const now = monotonic.nowOf(fiber.getRef(Clock.Clock))
        const isStale = lastChecked !== undefined && now - lastChecked > staleMillis
        return isStale ? Effect.as(ClientSession.probe(session), session) : Effect.succeed(session)
      })
    )
  )

const withSession = (
  { owner, port, server: { server } }: Target,
  ping: (session: Session) => Effect.Effect<void, SessionError>
): Effect.Effect<void, SessionError> =>
  port.openSession({ server, owner, retry: RetryPolicy.never, ledger: open() }).pipe(
    Effect.flatMap(ping),
    Effect.scoped,
    // Credentials that are invalid now may be valid at the next probe.
    Effect.catchTag(
      "ConfigError",
      (cause) => Effect.fail(new SessionError({ server, reason: new CredentialsFailed({ owner, cause }) }))
    ),
    // Any answer proves that the server is alive.
    Effect.catchIf(({ reason }) => reason.health === "alive", () => Effect.void)
  )

/** Probes a server, and connects it if need be. */
export const probe = (target: Target): Effect.Effect<void, SessionError> => withSession(target, ClientSession.probe)

/** Probes a server if it is connected. A server that is still starting is judged by its connect timeout. */
export const probeConnected = (target: Target): Effect.Effect<void, SessionError> =>
  withSession(target, (session) =>
    Effect.flatMap(
      session.state,
      ({ _tag }) => _tag === "Ready" || _tag === "Suspect" ? ClientSession.probe(session) : Effect.void
    ))
