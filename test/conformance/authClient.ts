/**
 * The client that the official conformance suite drives through its scenarios of authorization, on the URL given.
 *
 * Runs as `authClient.ts URL`, with the scenario in `MCP_CONFORMANCE_SCENARIO` and credentials in `MCP_CONFORMANCE_CONTEXT`. The user of the
 * suite consents at once: the authorization server redirects without a page.
 */
import { RetryPolicy, type ServerConfig, SessionError, Sessions } from "@mcp-sessions/core"
import { OAuth, TokenStore } from "@mcp-sessions/transports"
import { requestJwtAuthorizationGrant } from "@modelcontextprotocol/client"
import { Effect, Layer, Redacted, Schema } from "effect"
import { layerAgree } from "../fixtures/agree.ts"

const [, , url = ""] = process.argv
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? ""
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? ""

const Context = Schema.Record(Schema.String, Schema.Unknown)
const context = Schema.decodeSync(Schema.fromJsonString(Context))(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}")
const given = (name: string): string | undefined => {
  const value = context[name]
  return typeof value === "string" ? value : undefined
}

const clientId = given("client_id")
const clientSecret = given("client_secret")

const client = {
  ...(clientId === undefined ? {} : { clientId }),
  ...(clientSecret === undefined ? {} : { clientSecret: Redacted.make(clientSecret) })
}

const authOf = (): ServerConfig.AuthOptions => {
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
        privateKey: Redacted.make(given("private_key_pem") ?? ""),
        algorithm: given("signing_algorithm") ?? "ES256"
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
const assertion: OAuth.OAuthOptions["assertion"] = ({ issuer, resource }) => {
  const workload = given("valid_jwt")
  if (workload !== undefined) return Effect.succeed(Redacted.make(workload))
  return Effect.tryPromise({
    try: () =>
      requestJwtAuthorizationGrant({
        tokenEndpoint: given("idp_token_endpoint") ?? "",
        audience: issuer,
        resource,
        idToken: given("idp_id_token") ?? "",
        clientId: given("idp_client_id") ?? ""
      }),
    catch: () => new OAuth.AssertionFailed({ description: "the identity provider refused", isRetryable: false })
  }).pipe(Effect.map(({ jwtAuthGrant }) => Redacted.make(jwtAuthGrant)))
}

const layer = Sessions.layer({
  servers: {
    conformance: {
      transport: "streamable_http",
      url,
      protocol: revision >= "2026-07-28" ? "auto" : "legacy",
      auth: authOf()
    }
  },
  retry: RetryPolicy.never
}).pipe(
  Layer.provide(OAuth.layer({ clientName: "conformance", assertion })),
  Layer.provide(Layer.merge(TokenStore.layerMemory, layerAgree()))
)

/** What the suite lets the server ask for again and again, or refuse for good, must end as a failure of its kind. */
const isExpected = (error: unknown): boolean =>
  Schema.is(SessionError.SessionError)(error) &&
  ["AuthRequired", "AuthorizationFailed"].includes(error.reason._tag) &&
  /^auth\/(?:iss-(?:supported-missing|wrong-issuer|unexpected|normalized)|resource-mismatch|metadata-issuer-mismatch|scope-retry-limit|wif-jwt-bearer)$/
    .test(scenario)

await Effect.flatMap(Sessions.Sessions, (sessions) =>
  sessions.use("conformance", (session) =>
    Effect.gen(function*() {
      const tools = yield* session.listTools()
      const name = tools[0]?.name ?? "test-tool"
      yield* session.callTool(name, {})
      if (scenario === "auth/authorization-server-migration") yield* session.callTool(name, {})
    }))).pipe(
    Effect.catchIf(isExpected, (error) => Effect.sync(() => console.error(String(error)))),
    Effect.provide(layer),
    Effect.runPromise
  )
