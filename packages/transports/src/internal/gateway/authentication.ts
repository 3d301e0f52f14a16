/**
 * Authentication: makes the admission of a gateway, and the metadata that names its authorization servers.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { openAccessTokens } from "../accessTokens/openAccessTokens.ts"
import { Admission } from "./admission/admission.ts"
import { Challenges } from "./admission/challenges.ts"
import type { Recorder } from "./call/audit.ts"
import type { ReadOptions } from "./gatewayOptions.ts"
import { ResourceMetadata } from "./http/resourceMetadata.ts"
import { TokenRefusals } from "./tokenRefusals.ts"

export interface Authentication {
  readonly admission: Admission
  /** `undefined`: there are no access tokens. */
  readonly metadata: ResourceMetadata | undefined
}

/** Makes the authentication of a gateway from the URL of its endpoint, for as long as the scope. */
export const makeAuthentication = ({ fork, now, read, record }: {
  readonly read: ReadOptions
  readonly record: Recorder | undefined
  /** Monotonic time in milliseconds. */
  readonly now: () => number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}): Effect.Effect<(url: string) => Authentication, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { issuers, publicUrl } = read
    const tokensOf = issuers.length === 0 ? undefined : yield* openAccessTokens({ issuers, now })
    const refusals = new TokenRefusals({ fork, now, record })
    const scopes = [...new Set(issuers.flatMap(({ requiredScopes }) => requiredScopes))]
    return (url) => {
      const resource = publicUrl ?? url
      const metadata = issuers.length === 0
        ? undefined
        : new ResourceMetadata({ resource, scopes, issuers: issuers.map(({ issuer }) => issuer) })
      const challenges = new Challenges({
        metadataUrl: metadata?.url,
        scopes,
        onRefusal: (reason, { socket }) => refusals.add(reason, socket.remoteAddress ?? "unknown")
      })
      return { admission: new Admission({ ...read, accessTokens: tokensOf?.(resource), challenges, fork }), metadata }
    }
  })
