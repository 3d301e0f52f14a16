/**
 * Signs owners in to servers of a registry, and out of them.
 */
import * as Effect from "effect/Effect"
import type { ConfigError } from "../../ConfigError.ts"
import { AuthRequired, SessionError } from "../../SessionError.ts"
import { nobodySignsIn } from "../connection/signIn.ts"
import type { Registry } from "./registry.ts"

/** Signs an owner in, through the `Authorization` service of the program. */
export const signIn = (
  ...[registry, server, owner]: readonly [Registry, string, string]
): Effect.Effect<void, SessionError | ConfigError> =>
  Effect.flatMap(registry.findEnabled(server), ({ definition }) => {
    const { authorization } = registry
    const signedIn = authorization === undefined
      ? Effect.fail(new AuthRequired({ status: 401, description: nobodySignsIn }))
      : authorization.signIn({ owner, definition })
    return Effect.mapError(signedIn, (reason) => new SessionError({ server, reason }))
  })

/** Forgets the tokens of an owner, and closes its connections. */
export const signOut = (
  ...[registry, server, owner]: readonly [Registry, string, string]
): Effect.Effect<void, SessionError | ConfigError> =>
  Effect.flatMap(registry.find(server), ({ cores, definition }) => {
    const forget = registry.authorization?.signOut({ owner, definition }) ?? Effect.void
    const own = [...cores].filter((core) => core.owner === owner)
    // The connections close even where the tokens cannot be removed.
    return Effect.ensuring(
      Effect.mapError(forget, (reason) => new SessionError({ server, reason })),
      Effect.forEach(own, ({ managed }) => managed.restart, { discard: true })
    )
  })
