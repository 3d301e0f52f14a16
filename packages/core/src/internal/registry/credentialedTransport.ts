/**
 * Credentialed transport: asks for the credentials of the owner before each connect. A connection may be made long after the session was
 * taken, and must not be made with credentials that have expired meanwhile.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../../ConfigError.ts"
import { CredentialsFailed, type SessionError } from "../../SessionError.ts"
import type { Transport } from "../../Transport.ts"
import type { Identified } from "../session/identity.ts"

export const make = (options: {
  readonly identified: Identified
  /** The transport with the credentials that the session was taken with. */
  readonly transport: Transport["Service"]
  /** Determines the current identity of the owner. */
  readonly identify: Effect.Effect<Identified, SessionError | ConfigError>
  /** The transport of another identity of the owner. */
  readonly transportOf: (identified: Identified) => Effect.Effect<
    Transport["Service"],
    SessionError | ConfigError,
    Scope.Scope
  >
  /** Called with the identity that each connect is made with. */
  readonly onIdentity: (identified: Identified) => void
}): Transport["Service"] => {
  const { identified, identify, onIdentity, transport, transportOf } = options
  const { identity: { owner } } = identified
  const toReason = (error: SessionError | ConfigError) =>
    error._tag === "SessionError" && error.reason._tag === "CredentialsFailed"
      ? error.reason
      : new CredentialsFailed({ owner, cause: error })
  // Each transport knows its own server. The one in use is that of the latest connect.
  let current = transport
  return {
    forget: () => {
      transport.forget?.()
      current.forget?.()
    },
    connect: Effect.flatMap(Effect.mapError(identify, toReason), (now) => {
      onIdentity(now)
      if (Equal.equals(now, identified)) {
        current = transport
        return transport.connect
      }
      return Effect.flatMap(Effect.mapError(transportOf(now), toReason), (other) => {
        current = other
        return other.connect
      })
    })
  }
}
