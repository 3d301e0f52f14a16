/**
 * Authorization of remote servers: signs users in, renews tokens, and keeps them in a token store.
 *
 * {@link layer} provides all transports of this package, and signs owners in when a server asks for it. It needs a {@link TokenStore}, which keeps
 * tokens, and a {@link Consent}, which asks users.
 *
 * **Details**
 *
 * A request that a server refuses with 401 waits for one renewal, which all requests of the owner share, and is sent once more: it did not
 * run. Tokens are renewed ahead of their end. A failure of the network, or of the authorization server itself, keeps the tokens and asks for no
 * sign-in.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 * @since 0.1.0
 */
import { Authorization, type SignInState } from "@mcp-sessions/core/Authorization"
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Host } from "@mcp-sessions/core/Host"
import type { AuthOptions, ServerConfig, ServerDefinition } from "@mcp-sessions/core/ServerConfig"
import { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import { Transports } from "@mcp-sessions/core/Transport"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Consent } from "./Consent.ts"
import { authorizedTransports } from "./internal/network/authorizedTransports.ts"
import { makeAuthorizationConnections } from "./internal/network/openConnections.ts"
import { reasonOf, StepFailed, storeFailed } from "./internal/oauth/failure.ts"
import { OAuthFetch } from "./internal/oauth/oauthFetch.ts"
import { revoke } from "./internal/oauth/revocation.ts"
import { signIn } from "./internal/oauth/signIn.ts"
import { SingleFlight } from "./internal/oauth/singleFlight.ts"
import { readTimeOfDay } from "./internal/oauth/timeOfDay.ts"
import { TokenSource } from "./internal/oauth/tokenSource.ts"
import { checkKeys, keysOf } from "./internal/unknownKeys.ts"
import * as NodeHost from "./NodeHost.ts"
import { TokenStore, TokenStoreFailed } from "./TokenStore.ts"
import * as AllTransports from "./Transports.ts"

/**
 * Options of an authorization, for all servers of a layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface OAuthOptions {
  /** The name that users and authorization servers see. Default: `"mcp-sessions"`. */
  readonly clientName?: string | undefined
  /** How long before its end a token is renewed, at most a third of its lifetime. Default: 1 minute. */
  readonly refreshAhead?: Duration.Input | undefined
  /** The owner whose tokens an owner uses, for programs whose owners share sign-ins. Default: each owner its own. */
  readonly ownerOf?: ((owner: string) => string) | undefined
  /** Makes the assertions of definitions whose `grant` is `jwt_bearer`. Default: none, and such servers fail. */
  readonly assertion?:
    | ((target: AssertionTarget) => Effect.Effect<Redacted.Redacted<string>, AssertionFailed>)
    | undefined
}

/**
 * What an assertion (RFC 7523) is for: an owner at a server, whose authorization server is `issuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AssertionTarget {
  /** The name of the server. */
  readonly server: string
  /** The owner on whose behalf the server is used. */
  readonly owner: string
  /** The issuer of the authorization server, which is the audience of the assertion. */
  readonly issuer: string
  /** The URL of the MCP server that the token is for. */
  readonly resource: string
}

/**
 * An assertion cannot be made. `isRetryable`: another attempt may help.
 *
 * @category errors
 * @since 0.1.0
 */
export class AssertionFailed
  extends Schema.TaggedError<AssertionFailed>("@mcp-sessions/transports/AssertionFailed")("AssertionFailed", {
    description: Schema.String,
    isRetryable: Schema.Boolean
  })
{}

const known = keysOf<OAuthOptions>({ assertion: true, clientName: true, ownerOf: true, refreshAhead: true })

type RemoteConfig = Exclude<ServerConfig, { readonly transport: "stdio" }>

/** How the requests of a definition are authorized; `undefined`: by its headers alone. */
const authOf = (config: ServerConfig): AuthOptions | undefined => {
  if (config.transport === "stdio" || config.auth === false) return undefined
  const hasOwn = Object.keys(config.headers).some((name) => name.toLowerCase() === "authorization")
  return config.auth ?? (hasOwn ? undefined : {})
}

/**
 * Whether owners can be signed in to a server: not over stdio, and not if the definition says `auth: false` or has an `Authorization` header of
 * its own.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSignInPossible = (config: ServerConfig): boolean => authOf(config) !== undefined

const counters = {
  signIns: Metric.counter("mcp_sessions_sign_ins_total", { description: "Sign-ins of users", incremental: true }),
  refreshes: Metric.counter("mcp_sessions_token_renewals_total", {
    description: "Renewals of tokens",
    incremental: true
  })
}

/** The URL of a server as a resource: a WebSocket is one of the HTTP server behind it. */
const resourceUrl = (url: string): URL => new URL(url.replace(/^ws/i, "http"))

const isStepFailed = Schema.is(StepFailed)
const isStoreFailed = Schema.is(TokenStoreFailed)

const make = (options: OAuthOptions) =>
  Effect.gen(function*() {
    const { assertion, clientName = "mcp-sessions", ownerOf = (owner: string) => owner } = options
    const store = yield* TokenStore
    const consent = yield* Consent
    const now = yield* readTimeOfDay
    const runPromise = yield* FiberSet.makeRuntimePromise()
    const run = <A>(effect: Effect.Effect<A>, otherwise: A): Promise<A> => runPromise(effect).catch(() => otherwise)
    const refreshAhead = Duration.toMillis(Duration.fromInputUnsafe(options.refreshAhead ?? "1 minute"))
    const connectionsOf = yield* makeAuthorizationConnections
    const sources = new Map<string, TokenSource>()
    const signIns = new SingleFlight<TokenSource, void, AuthRequired | AuthorizationFailed>(yield* Effect.scope)
    /** The pages of the sign-ins in progress. */
    const urls = new Map<TokenSource, string>()

    const count = (metric: keyof typeof counters, server: string, outcome: string) =>
      Metric.update(Metric.withAttributes(counters[metric], { server, outcome }), 1)

    const assertionOf = (server: string, owner: string): TokenSource["options"]["assertion"] => (discovered) =>
      assertion === undefined
        ? Effect.fail(new StepFailed({ kind: "Invalid", description: "the program makes no assertions" }))
        : Effect.mapError(
          assertion({ server, owner, issuer: discovered.issuer, resource: discovered.resource ?? "" }),
          ({ description, isRetryable }) =>
            new StepFailed({ kind: isRetryable ? "Unavailable" : "Invalid", description })
        )

    const makeSource = (server: string, owner: string, config: RemoteConfig, auth: AuthOptions) => {
      const { addresses } = config
      return new TokenSource({
        server,
        owner,
        auth,
        store,
        refreshAhead,
        serverUrl: resourceUrl(config.url),
        makeFetch: () => new OAuthFetch({ connections: () => connectionsOf(config), addresses }),
        now,
        assertion: auth.grant === "jwt_bearer" ? assertionOf(server, owner) : undefined,
        run,
        onRefresh: (outcome) => void run(count("refreshes", server, outcome), undefined)
      })
    }

    /** The tokens of an owner at a server, shared by all its connections; `undefined`: nothing is authorized. */
    const sourceOf = ({ config, name }: ServerDefinition, ofSession: string): TokenSource | undefined => {
      const auth = authOf(config)
      if (auth === undefined || config.transport === "stdio") return undefined
      const owner = ownerOf(ofSession)
      const key = JSON.stringify([name, owner])
      const known = sources.get(key)
      if (known !== undefined) return known
      const source = makeSource(name, owner, config, auth)
      sources.set(key, source)
      return source
    }

    const asReason = (
      error: AuthRequired | AuthorizationFailed | StepFailed | TokenStoreFailed
    ): AuthRequired | AuthorizationFailed =>
      isStepFailed(error)
        ? reasonOf(error, "Rejected", 401)
        : isStoreFailed(error)
        ? reasonOf(storeFailed(error), "Rejected", 401)
        : error

    const attemptOf = (
      source: TokenSource
    ): Effect.Effect<void, AuthRequired | AuthorizationFailed | StepFailed | TokenStoreFailed> =>
      source.isUnattended
        ? Effect.flatMap(source.renewNow(), (verdict) => verdict === undefined ? Effect.void : Effect.fail(verdict))
        : Effect.scoped(signIn({ source, consent, clientName, onUrl: (url) => void urls.set(source, url) }))

    const signInTo = (source: TokenSource) => {
      const { server } = source.options
      return signIns.run(
        source,
        Effect.mapError(attemptOf(source), asReason).pipe(
          Effect.tap(() => count("signIns", server, "succeeded")),
          Effect.tapError(() => count("signIns", server, "failed")),
          Effect.ensuring(Effect.sync(() => urls.delete(source)))
        )
      )
    }

    return {
      sourceOf,
      authorization: Authorization.of({
        signIn: ({ definition, owner, refusal }) =>
          Effect.suspend((): Effect.Effect<void, AuthRequired | AuthorizationFailed> => {
            const source = sourceOf(definition, owner)
            if (source === undefined) {
              const description = "the definition leaves no room for a sign-in"
              return Effect.fail(refusal ?? new AuthRequired({ status: 401, description }))
            }
            // What the server refuses for good, it refuses to a new token too.
            if (refusal?.status === 403 && !source.isSignInNeeded) return Effect.fail(refusal)
            return Effect.mapError(
              signInTo(source),
              (error) => refusal !== undefined && error._tag === "AuthRequired" ? withStatus(error, refusal) : error
            )
          }),
        signOut: ({ definition, owner }) =>
          Effect.suspend(() => {
            const source = sourceOf(definition, owner)
            return source === undefined ? Effect.void : Effect.mapError(
              Effect.flatMap(source.forget(), (tokens) => tokens === undefined ? Effect.void : revoke(source, tokens)),
              (failure) => {
                const reason = reasonOf(failure, "NotSent", 401)
                return reason._tag === "AuthorizationFailed" ? reason : new AuthorizationFailed({
                  description: failure.description,
                  isRetryable: false,
                  delivery: "NotSent"
                })
              }
            )
          }),
        state: ({ definition, owner }) =>
          Effect.suspend((): Effect.Effect<SignInState> => {
            const source = sourceOf(definition, owner)
            if (source === undefined) return Effect.succeed({ _tag: "NotNeeded" })
            return signIns.has(source)
              ? Effect.succeed({ _tag: "SigningIn", url: urls.get(source) })
              : Effect.map(source.load, () => source.state)
          })
      })
    }
  })

/** The failure of a sign-in, with the status of the refusal that it followed. */
const withStatus = ({ description, url }: AuthRequired, { status }: AuthRequired): AuthRequired =>
  new AuthRequired({
    status,
    ...(description === undefined ? {} : { description }),
    ...(url === undefined ? {} : { url })
  })

/**
 * Layer that provides all transports of this package with authorization, the `Authorization` service of core, and the machine for configuration
 * files. Fails with a `ConfigError` if an option is unknown.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: OAuthOptions = {}
): Layer.Layer<Transports | Authorization | Host, ConfigError, TokenStore | Consent> =>
  Layer.effectContext(Effect.gen(function*() {
    yield* checkKeys({ options, known })
    const { authorization, sourceOf } = yield* make(options)
    const transports = authorizedTransports({
      inner: yield* Transports,
      sourceOf: (definition, owner) => {
        const authorizer = sourceOf(definition, owner)
        return authorizer === undefined ? undefined : { authorizer, load: authorizer.load }
      }
    })
    return Context.make(Transports, transports).pipe(Context.add(Authorization, authorization))
  })).pipe(Layer.provide(AllTransports.layer), Layer.merge(NodeHost.layer))
