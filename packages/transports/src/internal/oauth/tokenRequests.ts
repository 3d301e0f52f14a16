/**
 * Requests to a token endpoint: for a code, with a refresh token, and for the client itself.
 */
import type { AuthOptions } from "@mcp-sessions/core/ServerConfig"
import {
  createPrivateKeyJwtAuth,
  type DpopSession,
  exchangeAuthorization,
  fetchToken,
  type OAuthClientProvider,
  type OAuthTokens,
  refreshAuthorization
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { informationOf } from "./clients.ts"
import type { Discovered } from "./discovery.ts"
import { invalid, type StepFailed, stepFailedOf } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"
import type { Client, Tokens } from "./records.ts"
import { timeOfDay } from "./timeOfDay.ts"

/** What every request for tokens needs. */
export interface TokenRequest {
  readonly auth: AuthOptions
  readonly discovered: Discovered
  readonly client: Client
  readonly http: OAuthFetch
  readonly dpop: DpopSession | undefined
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

/** How a client with a private key proves who it is. */
const authenticationOf = ({ auth, client }: TokenRequest): OAuthClientProvider["addClientAuthentication"] => {
  const { algorithm = "ES256", privateKey } = auth
  return privateKey === undefined ? undefined : createPrivateKeyJwtAuth({
    issuer: client.clientId,
    subject: client.clientId,
    privateKey: Redacted.value(privateKey),
    alg: algorithm
  })
}

const commonOf = (request: TokenRequest) => {
  const { client, discovered: { metadata, resource }, dpop, http } = request
  const addClientAuthentication = authenticationOf(request)
  return {
    clientInformation: informationOf(client),
    fetchFn: http.fetch,
    ...(metadata === undefined ? {} : { metadata }),
    ...(resource === undefined ? {} : { resource }),
    ...(dpop === undefined ? {} : { dpop }),
    ...(addClientAuthentication === undefined ? {} : { addClientAuthentication })
  }
}

/** Whether a token can be sent in a header, as one word. */
const isToken = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

/** The last moment that dates can say, in milliseconds since the epoch. */
const lastMoment = 8.64e15

/**
 * When a token expires, in milliseconds since the epoch. A lifetime that is not positive says nothing: servers write 0 or `null` where they
 * do not know it, and a token that is used as long as it is accepted needs no renewal for each request.
 */
const expiryOf = (expiresIn: number | undefined, now: number): number | undefined =>
  expiresIn !== undefined && expiresIn > 0 ? Math.min(now + expiresIn * 1000, lastMoment) : undefined

/** Runs a request for tokens, and dates its response. */
const issued = (
  request: TokenRequest,
  step: string,
  run: () => Promise<OAuthTokens>
): Effect.Effect<Tokens, StepFailed> =>
  Effect.gen(function*() {
    const tokens = yield* Effect.tryPromise({
      try: run,
      catch: (error) => stepFailedOf({ error, http: request.http, step })
    })
    const now = yield* timeOfDay
    const { access_token, expires_in, refresh_token, scope, token_type } = tokens
    if (!isToken(access_token)) {
      return yield* invalid(
        `cannot ${step}: the token is empty or has characters that no header can carry`,
        request.http.last
      )
    }
    const expiresAt = expiryOf(expires_in, now)
    return {
      accessToken: Redacted.make(access_token),
      tokenType: token_type.toLowerCase() === "dpop" ? "DPoP" : "Bearer",
      issuedAt: now,
      issuer: request.discovered.issuer,
      client: request.client,
      ...(refresh_token === undefined ? {} : { refreshToken: Redacted.make(refresh_token) }),
      ...(scope === undefined ? {} : { scope }),
      ...(expiresAt === undefined ? {} : { expiresAt })
    }
  })

/** Exchanges the code of a sign-in. */
export const exchangeCode = (
  request: TokenRequest & {
    readonly code: string
    readonly iss: string | undefined
    readonly codeVerifier: string
    readonly redirectUrl: string
  }
): Effect.Effect<Tokens, StepFailed> => {
  const { code, codeVerifier, discovered, iss, redirectUrl } = request
  return issued(
    request,
    "exchange the code of the sign-in",
    () =>
      exchangeAuthorization(discovered.authorizationServerUrl, {
        ...commonOf(request),
        authorizationCode: code,
        codeVerifier,
        redirectUri: redirectUrl,
        ...(iss === undefined ? {} : { iss })
      })
  )
}

/** Renews tokens with their refresh token, which stays valid if the response brings no other. */
export const refresh = (
  request: TokenRequest & { readonly tokens: Tokens; readonly refreshToken: Redacted.Redacted<string> }
): Effect.Effect<Tokens, StepFailed> => {
  const { discovered, refreshToken, tokens } = request
  return Effect.map(
    issued(request, "refresh the token", () =>
      refreshAuthorization(discovered.authorizationServerUrl, {
        ...commonOf(request),
        refreshToken: Redacted.value(refreshToken)
      })),
    // A response without a scope grants the one before.
    (renewed): Tokens => {
      const scope = renewed.scope ?? tokens.scope
      const { requestedScope } = tokens
      return {
        ...renewed,
        ...(scope === undefined ? {} : { scope }),
        ...(requestedScope === undefined ? {} : { requestedScope })
      }
    }
  )
}

/** Asks for a token without a user: with the credentials of the client, or with an assertion about the user. */
export const requestToken = (
  request: TokenRequest & {
    readonly scope: string | undefined
    readonly assertion: Redacted.Redacted<string> | undefined
  }
): Effect.Effect<Tokens, StepFailed> => {
  const { assertion, client, discovered, scope } = request
  const { clientInformation, fetchFn, ...common } = commonOf(request)
  const { addClientAuthentication, dpop, ...rest } = common
  const provider: OAuthClientProvider = {
    redirectUrl: undefined,
    clientMetadata: { redirect_uris: [] },
    clientInformation: () => ({ ...clientInformation, issuer: client.issuer }),
    tokens: () => undefined,
    saveTokens: () => {},
    redirectToAuthorization: () => {},
    saveCodeVerifier: () => {},
    codeVerifier: () => "",
    prepareTokenRequest: () =>
      new URLSearchParams({
        ...(assertion === undefined
          ? { grant_type: "client_credentials" }
          : { grant_type: jwtBearer, assertion: Redacted.value(assertion) }),
        ...(scope === undefined ? {} : { scope })
      }),
    ...(addClientAuthentication === undefined ? {} : { addClientAuthentication }),
    ...(dpop === undefined ? {} : { dpop: () => dpop })
  }
  return issued(
    request,
    "get a token",
    () => fetchToken(provider, discovered.authorizationServerUrl, { fetchFn, ...rest })
  )
}
