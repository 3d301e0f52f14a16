/**
 * The client that an authorization is asked for with: one of the definition, a metadata document, or one that is registered.
 *
 * A registration is kept in the token store, and used again for sign-ins with a redirect URL that it names. Tokens are refreshed with the client
 * that they were issued to, whatever was registered since.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#client-registration-approaches
 * @see https://www.rfc-editor.org/rfc/rfc8252#section-7.3
 */
import type { AuthOptions } from "@mcp-sessions/core/ServerConfig"
import {
  type OAuthClientInformationMixed,
  type OAuthClientMetadata,
  registerClient
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { TokenStoreFailed } from "../../TokenStore.ts"
import type { Discovered } from "./discovery.ts"
import { invalid, type StepFailed, stepFailedOf } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"
import { type Client, clientKey, type Records } from "./records.ts"
import { timeOfDay } from "./timeOfDay.ts"

export interface ClientOptions {
  readonly auth: AuthOptions
  readonly discovered: Discovered
  readonly http: OAuthFetch
  readonly clients: Records<Client>
}

/** The client of the definition, if that names one. */
export const givenClient = ({ auth, discovered: { issuer, metadata } }: {
  readonly auth: AuthOptions
  readonly discovered: Discovered
}): Client | undefined => {
  const { clientId, clientMetadataUrl, clientSecret } = auth
  const id = clientId ??
    (metadata?.client_id_metadata_document_supported === true ? clientMetadataUrl : undefined)
  return id === undefined
    ? undefined
    : { clientId: id, issuer, redirectUris: [], ...(clientSecret === undefined ? {} : { clientSecret }) }
}

/** The redirect URLs of the client that was registered before, so that one of them is used again. */
export const knownRedirects = (
  { clients, discovered }: ClientOptions
): Effect.Effect<ReadonlyArray<string>, TokenStoreFailed> =>
  Effect.map(clients.get(clientKey(discovered.issuer)), ({ value }) => value?.redirectUris ?? [])

/** The client that was registered before, unless its secret has expired or it has another redirect URL. */
const registeredClient = ({ clients, discovered: { issuer } }: ClientOptions, redirects: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const seen = yield* clients.get(clientKey(issuer))
    const { value } = seen
    const now = yield* timeOfDay
    const isUsable = value !== undefined && redirects.every((url) => value.redirectUris.includes(url)) &&
      (value.expiresAt === undefined || value.expiresAt > now)
    return { client: isUsable ? value : undefined, seen }
  })

/** Returns the stored client. Registers one if the store has none. */
export const obtainClient = (
  options: ClientOptions & { readonly clientMetadata: OAuthClientMetadata; readonly scope: string | undefined }
): Effect.Effect<Client, StepFailed | TokenStoreFailed> =>
  Effect.gen(function*() {
    const given = givenClient(options)
    if (given !== undefined) return given
    const { clientMetadata, clients, discovered, http, scope } = options
    const known = yield* registeredClient(options, clientMetadata.redirect_uris)
    if (known.client !== undefined) return known.client
    const { authorizationServerUrl, issuer, metadata } = discovered
    if (metadata !== undefined && metadata.registration_endpoint === undefined) {
      return yield* invalid("the authorization server registers no clients, and the definition has no clientId")
    }
    const register = (scope: string | undefined) =>
      Effect.tryPromise({
        try: () =>
          registerClient(authorizationServerUrl, {
            clientMetadata,
            fetchFn: http.fetch,
            ...(metadata === undefined ? {} : { metadata }),
            ...(scope === undefined ? {} : { scope })
          }),
        catch: (error) => stepFailedOf({ error, http, step: "register a client" })
      })
    const registered = yield* Effect.catchIf(
      register(scope),
      // Some authorization servers refuse clients that name the scopes of a resource, and grant these to any client.
      ({ status }) => scope !== undefined && status === 400,
      () => register(undefined)
    )
    const { client_id: clientId, client_secret: secret, client_secret_expires_at: expiresAt } = registered
    const { token_endpoint_auth_method: authMethod } = registered
    const client: Client = {
      clientId,
      issuer,
      redirectUris: clientMetadata.redirect_uris,
      // The authorization server may have chosen another one than was asked for.
      ...(authMethod === undefined ? {} : { authMethod }),
      ...(secret === undefined ? {} : { clientSecret: Redacted.make(secret) }),
      // In seconds; 0 is never.
      ...(expiresAt === undefined || expiresAt === 0 ? {} : { expiresAt: expiresAt * 1000 })
    }
    yield* clients.put(clientKey(issuer), client, known.seen)
    return client
  })

/** Forgets a registered client that the authorization server has refused, unless another one was registered meanwhile. */
export const forgetClient = (client: Client, clients: Records<Client>): Effect.Effect<void, TokenStoreFailed> =>
  Effect.gen(function*() {
    const seen = yield* clients.get(clientKey(client.issuer))
    if (seen.value?.clientId === client.clientId) yield* clients.remove(clientKey(client.issuer), seen)
  })

/** The client as the SDK takes it. */
export const informationOf = ({ authMethod, clientId, clientSecret }: Client): OAuthClientInformationMixed => ({
  client_id: clientId,
  ...(authMethod === undefined ? {} : { token_endpoint_auth_method: authMethod }),
  ...(clientSecret === undefined ? {} : { client_secret: Redacted.value(clientSecret) })
})
