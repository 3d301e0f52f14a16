/**
 * Opens the access tokens of a gateway: the issuers with their keys, over the HTTP client of the program.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { makeAuthorizationConnections } from "../network/openConnections.ts"
import { OAuthFetch } from "../oauth/oauthFetch.ts"
import { readTimeOfDay } from "../oauth/timeOfDay.ts"
import { AccessTokens } from "./accessTokens.ts"
import { IssuerKeys } from "./issuerKeys.ts"
import type { ReadJwtOptions } from "./jwtOptions.ts"
import { TokenVerifier } from "./tokenVerifier.ts"

/** Makes the access tokens of a gateway from the identifier of the gateway as a resource. They read keys for as long as the scope. */
export const openAccessTokens = ({ issuers, mostRemembered = 10_000, now }: {
  readonly issuers: ReadonlyArray<ReadJwtOptions>
  /** How many tokens are remembered. Default: 10,000. */
  readonly mostRemembered?: number
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}): Effect.Effect<(resource: string) => AccessTokens, never, Scope.Scope> =>
  Effect.gen(function*() {
    // Gateways without issuers start faster without this.
    const jose = yield* Effect.promise(() => import("jose"))
    const timeOfDay = yield* readTimeOfDay
    const fork = yield* FiberSet.makeRuntime()
    const connectionsOf = yield* makeAuthorizationConnections
    return (resource) => {
      const verifiers = issuers.map((options) => {
        const { audiences, issuer, jwksUri } = options
        const dialled = { url: issuer, addresses: "any", proxy: "environment" } as const
        const http = new OAuthFetch({ connections: () => connectionsOf(dialled), addresses: "any" })
        return new TokenVerifier({
          ...options,
          audiences: audiences.length === 0 ? [resource] : audiences,
          jose,
          keys: new IssuerKeys({ jose, issuer, jwksUri, http, now, fork }),
          timeOfDay
        })
      })
      return new AccessTokens({ jose, verifiers, mostRemembered, timeOfDay })
    }
  })
