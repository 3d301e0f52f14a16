/**
 * Discovery: which authorization server issues the tokens of a resource, and what that server offers.
 *
 * What a server has told is followed or fails; only what it has not told is guessed, as the specification of its time says.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#authorization-server-discovery
 * @see https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#2-3-server-metadata-discovery
 */
import {
  type AuthorizationServerMetadata,
  discoverAuthorizationServerMetadata,
  discoverOAuthProtectedResourceMetadata,
  type OAuthProtectedResourceMetadata
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import { invalid, type StepFailed, stepFailedOf } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"

/** What is known of the authorization server of a resource. */
export interface Discovered {
  readonly issuer: string
  readonly authorizationServerUrl: string
  /** `undefined`: a server of 2025-03-26 without metadata, whose endpoints have the default paths. */
  readonly metadata: AuthorizationServerMetadata | undefined
  /** The identifier of the resource, which all requests for tokens carry; `undefined`: the server has no metadata of the resource. */
  readonly resource: string | undefined
  /** The scopes of the resource, separated by spaces. */
  readonly scopes: string | undefined
}

const attempt = <A>(options: {
  readonly http: OAuthFetch
  readonly step: string
  readonly run: () => Promise<A>
}): Effect.Effect<A, StepFailed> =>
  Effect.tryPromise({
    try: options.run,
    catch: (error) => stepFailedOf({ error, http: options.http, step: options.step })
  })

/** Whether a resource covers the URL of a server: the same origin, and a path that leads to it. */
const covers = (resource: string, serverUrl: URL): boolean => {
  if (!URL.canParse(resource)) return false
  const { origin, pathname } = new URL(resource)
  const path = pathname.endsWith("/") ? pathname : `${pathname}/`
  return origin === serverUrl.origin && `${serverUrl.pathname}/`.startsWith(path)
}

/** The metadata of the resource; `undefined` if the server has none. */
const resourceMetadata = (options: {
  readonly http: OAuthFetch
  readonly serverUrl: URL
  readonly metadataUrl: string | undefined
}): Effect.Effect<OAuthProtectedResourceMetadata | undefined, StepFailed> => {
  const { http, metadataUrl, serverUrl } = options
  const read = () =>
    discoverOAuthProtectedResourceMetadata(
      serverUrl,
      metadataUrl === undefined ? {} : { resourceMetadataUrl: metadataUrl },
      http.fetch
    )
  return attempt({
    http,
    step: "read the metadata of the resource",
    run: () =>
      metadataUrl === undefined
        // Web servers answer every unknown path with a page.
        ? read().catch((error: unknown) => error instanceof SyntaxError ? undefined : Promise.reject(error))
        : read()
  }).pipe(
    Effect.catchIf(
      // A server that names no metadata and refuses to show any has none.
      ({ kind, status }) => metadataUrl === undefined && kind === "Invalid" && status !== undefined && status >= 400,
      () => Effect.undefined
    ),
    Effect.tap((metadata) =>
      metadata === undefined || covers(metadata.resource, serverUrl)
        ? Effect.void
        : invalid("the metadata of the resource is that of another resource", http.last)
    )
  )
}

/** The URL of the authorization server. */
const authorizationServerOf = (options: {
  readonly resource: OAuthProtectedResourceMetadata | undefined
  readonly serverUrl: URL
  readonly issuer: string | undefined
}): Effect.Effect<string, StepFailed> => {
  const { issuer, resource, serverUrl } = options
  const told = resource?.authorization_servers ?? []
  if (issuer === undefined) return Effect.succeed(told[0] ?? new URL("/", serverUrl).href)
  const found = told.find((url) => isSameUrl(url, issuer))
  return told.length > 0 && found === undefined
    ? invalid("the server does not name the authorization server of the definition")
    : Effect.succeed(found ?? issuer)
}

const isSameUrl = (left: string, right: string): boolean => left.replace(/\/$/, "") === right.replace(/\/$/, "")

/** Finds the authorization server of an MCP server. */
export const discover = (options: {
  readonly http: OAuthFetch
  readonly serverUrl: URL
  /** The URL of the metadata of the resource, as `WWW-Authenticate` names it. */
  readonly metadataUrl: string | undefined
  /** The issuer that the definition names. */
  readonly issuer: string | undefined
}): Effect.Effect<Discovered, StepFailed> =>
  Effect.gen(function*() {
    const { http, issuer, serverUrl } = options
    const resource = yield* resourceMetadata(options)
    const authorizationServerUrl = yield* authorizationServerOf({ resource, serverUrl, issuer })
    const metadata = yield* attempt({
      http,
      step: "read the metadata of the authorization server",
      run: () => discoverAuthorizationServerMetadata(authorizationServerUrl, { fetchFn: http.fetch })
    })
    const isTold = issuer !== undefined || (resource?.authorization_servers?.length ?? 0) > 0
    if (metadata === undefined && isTold) {
      return yield* invalid("the authorization server shows no metadata", http.last)
    }
    return {
      issuer: metadata?.issuer ?? authorizationServerUrl,
      authorizationServerUrl,
      metadata,
      resource: resource?.resource,
      scopes: resource?.scopes_supported?.join(" ")
    }
  })
