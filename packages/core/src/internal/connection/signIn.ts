/**
 * Sign-ins that a server asks for in the middle of a connect or of a request.
 */
import * as Effect from "effect/Effect"
import type { Authorization } from "../../Authorization.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { AuthRequired, SessionError } from "../../SessionError.ts"

/** Who signs in, and where. */
export interface SignInHost {
  /** `undefined` if the program has no such service. */
  readonly authorization: Authorization["Service"] | undefined
  readonly definition: ServerDefinition
  readonly owner: string
  /** Called when a sign-in has ended. */
  readonly onEnd: () => void
}

/** Names what a program lacks that wants to sign in. */
export const nobodySignsIn =
  "the program signs nobody in; give OAuth.layer to an Effect program, and the option authorization to McpSessions"

/** The refusal of a server whose definition says how to sign in, in a program that cannot. */
const withMissingPart = ({ reason, server }: SessionError, { config }: ServerDefinition): SessionError | undefined => {
  const isDefined = "auth" in config && config.auth !== undefined && config.auth !== false
  return !isDefined || reason._tag !== "AuthRequired" || reason.status !== 401 || reason.description !== undefined
    ? undefined
    : new SessionError({
      server,
      reason: new AuthRequired({ ...reason, description: `the definition has "auth", but ${nobodySignsIn}` })
    })
}

/** Signs the owner in after the server has refused a connect or a request for lack of credentials. Fails with that refusal if it cannot. */
export const signIn = (
  { authorization, definition, onEnd, owner }: SignInHost,
  refusal: SessionError
): Effect.Effect<void, SessionError> =>
  authorization === undefined || refusal.reason._tag !== "AuthRequired"
    ? Effect.fail(authorization === undefined ? withMissingPart(refusal, definition) ?? refusal : refusal)
    : authorization.signIn({ owner, definition, refusal: refusal.reason }).pipe(
      Effect.mapError((reason) => new SessionError({ server: definition.name, reason })),
      Effect.ensuring(Effect.sync(onEnd))
    )

/** An attempt to connect, and another one after the sign-in that the first one called for. The time of the sign-in is not that of a connect. */
export const withSignIn = <A>(
  host: SignInHost,
  attempt: Effect.Effect<A, SessionError>
): Effect.Effect<A, SessionError> =>
  Effect.catchIf(
    attempt,
    ({ reason }) => reason._tag === "AuthRequired",
    (refusal) => Effect.andThen(signIn(host, refusal), attempt)
  )
