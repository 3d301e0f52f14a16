/**
 * What the scenarios of authorization need: credentials, where the suite gives some, and which failures it provokes.
 *
 * The user of the suite consents at once: the authorization server redirects without a page.
 */
import type { ServerConfig, SessionError } from "@mcp-sessions/core"
import * as OAuth from "@mcp-sessions/transports/OAuth"
import * as TokenStore from "@mcp-sessions/transports/TokenStore"
import { requestJwtAuthorizationGrant } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { layerAgree } from "../fixtures/agree.ts"

/** What the suite gives a scenario. */
export type Context = Readonly<Record<string, unknown>>

const textOf = (context: Context, name: string): string | undefined => {
  const value = context[name]
  return typeof value === "string" ? value : undefined
}

const clientOf = (context: Context): ServerConfig.AuthOptions => {
  const clientId = textOf(context, "client_id")
  const clientSecret = textOf(context, "client_secret")
  return {
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientSecret === undefined ? {} : { clientSecret: Redacted.make(clientSecret) })
  }
}

/** How the definition of a scenario is authorized. */
export const authOf = (scenario: string, context: Context): ServerConfig.AuthOptions => {
  const client = clientOf(context)
  switch (scenario) {
    case "auth/basic-cimd":
      return { clientMetadataUrl: "https://conformance-test.local/client-metadata.json" }
    case "auth/pre-registration":
    case "auth/client-credentials-basic":
      return scenario === "auth/pre-registration" ? client : { ...client, grant: "client_credentials" }
    case "auth/client-credentials-jwt":
      return {
        ...client,
        grant: "client_credentials",
        privateKey: Redacted.make(textOf(context, "private_key_pem") ?? ""),
        algorithm: textOf(context, "signing_algorithm") ?? "ES256"
      }
    case "auth/enterprise-managed-authorization":
    case "auth/wif-jwt-bearer":
      return { ...client, grant: "jwt_bearer" }
    case "auth/dpop":
    case "auth/dpop-nonce":
      return { dpop: true }
    default:
      return {}
  }
}

/** The assertion of the identity provider of an enterprise, or that of a workload. */
const assertionOf = (context: Context): OAuth.OAuthOptions["assertion"] => ({ issuer, resource }) => {
  const workload = textOf(context, "valid_jwt")
  if (workload !== undefined) return Effect.succeed(Redacted.make(workload))
  return Effect.tryPromise({
    try: () =>
      requestJwtAuthorizationGrant({
        tokenEndpoint: textOf(context, "idp_token_endpoint") ?? "",
        audience: issuer,
        resource,
        idToken: textOf(context, "idp_id_token") ?? "",
        clientId: textOf(context, "idp_client_id") ?? ""
      }),
    catch: () => new OAuth.AssertionFailed({ description: "the identity provider refused", isRetryable: false })
  }).pipe(Effect.map(({ jwtAuthGrant }) => Redacted.make(jwtAuthGrant)))
}

/** All transports, with a user who agrees to everything. */
export const layerTransports = (context: Context) =>
  OAuth.layer({ clientName: "conformance", assertion: assertionOf(context) }).pipe(
    Layer.provide(Layer.merge(TokenStore.layerMemory, layerAgree()))
  )

/** Scenarios whose server must not be signed in to, or asks for more and more: they end as a failure of their kind. */
const refused = new Set([
  "auth/iss-supported-missing",
  "auth/iss-wrong-issuer",
  "auth/iss-unexpected",
  "auth/iss-normalized",
  "auth/metadata-issuer-mismatch",
  "auth/resource-mismatch",
  "auth/scope-retry-limit",
  "auth/wif-jwt-bearer"
])

/** Whether a scenario has to end with this failure. */
export const isExpected = (scenario: string, { reason }: SessionError.SessionError): boolean =>
  refused.has(scenario) && (reason._tag === "AuthRequired" || reason._tag === "AuthorizationFailed")
