/**
 * Sign-in of a user: authorization code with PKCE.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#authorization-flow-steps
 * @see https://www.rfc-editor.org/rfc/rfc9207 the check of `iss`
 */
import type { AuthOptions } from "@mcp-sessions/core/ServerConfig"
import type { AuthRequired } from "@mcp-sessions/core/SessionError"
import {
  type OAuthClientMetadata,
  startAuthorization,
  validateAuthorizationResponseIssuer
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes, timingSafeEqual } from "node:crypto"
import type { Consent } from "../../Consent.ts"
import type { TokenStoreFailed } from "../../TokenStore.ts"
import { forgetClient, informationOf, knownRedirects, obtainClient } from "./clients.ts"
import type { Discovered } from "./discovery.ts"
import { denied, invalid, type StepFailed, stepFailedOf } from "./failure.ts"
import { isConfidential, type OAuthFetch } from "./oauthFetch.ts"
import type { Client, Tokens } from "./records.ts"
import { exchangeCode } from "./tokenRequests.ts"
import type { TokenSource } from "./tokenSource.ts"

export interface SignInOptions {
  readonly source: TokenSource
  readonly consent: Consent["Service"]
  /** The name of the client that users and authorization servers see. */
  readonly clientName: string
  /** Called with the page that the user is to visit. */
  readonly onUrl: (url: string) => void
}

/** One way to the user, open for one sign-in. */
type Opened = Effect.Success<ReturnType<Consent["Service"]["open"]>>

type Failure = AuthRequired | StepFailed | TokenStoreFailed

/** The scopes to ask for. Servers that give refresh tokens only for `offline_access` are asked for it. */
const scopeOf = (source: TokenSource, { metadata, scopes }: Discovered): string | undefined => {
  const wanted = source.wantedScope ?? scopes
  const isOffline = wanted !== undefined && metadata?.scopes_supported?.includes("offline_access") === true &&
    !wanted.split(" ").includes("offline_access")
  return isOffline ? `${wanted} offline_access` : wanted
}

/** The client metadata of a registration. */
const clientMetadataOf = (options: {
  readonly clientName: string
  readonly redirectUrl: string
  readonly discovered: Discovered
  readonly auth: AuthOptions
}): OAuthClientMetadata => {
  const { clientName, discovered, redirectUrl } = options
  const methods = discovered.metadata?.token_endpoint_auth_methods_supported
  // A client on the machine of a user keeps no secret, where the authorization server leaves the choice.
  const method = methods === undefined || methods.includes("none")
    ? "none"
    : methods.find((method) => method === "client_secret_basic" || method === "client_secret_post")
  return {
    client_name: clientName,
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    application_type: "native",
    ...(method === undefined ? {} : { token_endpoint_auth_method: method })
  }
}

const isSameText = (left: string, right: string): boolean => {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Checks the response of the authorization server, and takes the code from it. */
const readResponse = (options: {
  readonly response: URL
  readonly state: string
  readonly discovered: Discovered
}): Effect.Effect<{ readonly code: string; readonly iss: string | undefined }, StepFailed> =>
  Effect.suspend((): Effect.Effect<{ readonly code: string; readonly iss: string | undefined }, StepFailed> => {
    const { discovered: { metadata }, response: { searchParams }, state } = options
    const iss = searchParams.get("iss") ?? undefined
    if (!isSameText(searchParams.get("state") ?? "", state)) {
      return Effect.fail(invalid("the response to the sign-in belongs to another one (state)"))
    }
    try {
      validateAuthorizationResponseIssuer({
        iss,
        expectedIssuer: metadata?.issuer,
        issParameterSupported: metadata?.authorization_response_iss_parameter_supported === true
      })
    } catch {
      return Effect.fail(invalid("the response to the sign-in comes from another issuer (iss)"))
    }
    const error = searchParams.get("error")
    if (error !== null) return Effect.fail(denied(error))
    const code = searchParams.get("code")
    return code === null || code === ""
      ? Effect.fail(invalid("the response to the sign-in has no code"))
      : Effect.succeed({ code, iss })
  })

/** Asks the user once, and exchanges the code. */
const authorize = (
  options: SignInOptions & {
    readonly opened: Opened
    readonly discovered: Discovered
    readonly http: OAuthFetch
    readonly client: Client
    readonly scope: string | undefined
  }
): Effect.Effect<Tokens, AuthRequired | StepFailed> =>
  Effect.gen(function*() {
    const { client, discovered, http, onUrl, opened, scope, source } = options
    const { authorizationServerUrl, metadata, resource } = discovered
    const state = randomBytes(32).toString("base64url")
    const { authorizationUrl, codeVerifier } = yield* Effect.tryPromise({
      try: () =>
        startAuthorization(authorizationServerUrl, {
          clientInformation: informationOf(client),
          redirectUrl: opened.redirectUrl,
          state,
          ...(metadata === undefined ? {} : { metadata }),
          ...(resource === undefined ? {} : { resource }),
          ...(scope === undefined ? {} : { scope })
        }),
      catch: (error) => stepFailedOf({ error, http, step: "start the sign-in" })
    })
    if (!isConfidential(authorizationUrl)) {
      return yield* invalid("the page of the sign-in is neither https nor on loopback")
    }
    onUrl(authorizationUrl.href)
    const { code, iss } = yield* readResponse({ response: yield* opened.ask(authorizationUrl), state, discovered })
    const dpop = yield* source.dpop
    const { auth } = source.options
    const redirectUrl = opened.redirectUrl
    const tokens = yield* exchangeCode({ auth, discovered, client, http, dpop, code, iss, codeVerifier, redirectUrl })
    // A response without a scope grants what was asked for.
    return scope === undefined ? tokens : { ...tokens, scope: tokens.scope ?? scope, requestedScope: scope }
  })

/**
 * Signs a user in, and saves the tokens. A client that was registered before and is not accepted any more is registered anew, once. Nothing of
 * the discovery is kept.
 */
export const signIn = (options: SignInOptions): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const { clientName, consent, source } = options
    const { auth, makeFetch, owner, server } = source.options
    const http = makeFetch()
    const discovered = yield* source.discover(http)
    const scope = scopeOf(source, discovered)
    const clientOptions = { auth, discovered, http, clients: source.clients }
    const preferred = auth.redirectPort === undefined
      ? yield* knownRedirects(clientOptions)
      : [`http://127.0.0.1:${auth.redirectPort}/callback`]
    yield* source.bind(discovered)
    const opened = yield* consent.open({ server, owner, preferred })
    const clientMetadata = clientMetadataOf({ clientName, redirectUrl: opened.redirectUrl, discovered, auth })
    const once = Effect.gen(function*() {
      const client = yield* obtainClient({ ...clientOptions, clientMetadata, scope })
      return yield* Effect.tapError(
        authorize({ ...options, opened, discovered, http, client, scope }),
        (error) =>
          error._tag === "StepFailed" && error.kind === "ClientRefused"
            ? forgetClient(client, source.clients)
            : Effect.void
      )
    })
    const tokens = yield* Effect.retry(once, {
      times: 1,
      while: (error) => error._tag === "StepFailed" && error.kind === "ClientRefused" && auth.clientId === undefined
    })
    yield* source.locked(discovered, source.save(discovered, tokens))
  })
