/**
 * The tokens of one owner at one server: shared by all connections of the two, renewed by one request at a time.
 *
 * **Details**
 *
 * A renewal is one critical section for all processes that share the token store: it reads the store, adopts what another process has saved
 * meanwhile, and only else asks the authorization server and saves its response. A failure of the network keeps the tokens.
 */
import type { SignInState } from "@mcp-sessions/core/Authorization"
import type { AuthOptions } from "@mcp-sessions/core/ServerConfig"
import { type AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import { computeScopeUnion, DpopSession, isStrictScopeSuperset } from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { TokenStore, TokenStoreFailed } from "../../TokenStore.ts"
import type { Authorizer, Challenge, Verdict } from "../network/authorizer.ts"
import { readChallenge } from "./challenge.ts"
import { forgetClient, givenClient } from "./clients.ts"
import { discover, type Discovered } from "./discovery.ts"
import { denied, invalid, reasonOf, StepFailed } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"
import { Binding, bindingKey, Client, type Records, records, Tokens, tokensKey } from "./records.ts"
import { refresh, requestToken, type TokenRequest } from "./tokenRequests.ts"

/** What a source needs of the layer. */
export interface SourceOptions {
  readonly serverUrl: URL
  readonly server: string
  readonly owner: string
  readonly auth: AuthOptions
  readonly store: TokenStore["Service"]
  readonly makeFetch: () => OAuthFetch
  /** The time, in milliseconds since the epoch: that of the clock of the layer. */
  readonly now: () => number
  /** How long before its end a token is renewed, in milliseconds. */
  readonly refreshAhead: number
  /** Makes an assertion about the owner, for authorization servers that take one in place of a sign-in. */
  readonly assertion:
    | ((discovered: Discovered, http: OAuthFetch) => Effect.Effect<Redacted.Redacted<string>, StepFailed>)
    | undefined
  /** Runs an effect in the scope of the layer. */
  readonly run: <A>(effect: Effect.Effect<A>) => Promise<A>
  readonly onRefresh: (outcome: "failed" | "renewed") => void
}

/** An entry of the store cannot be read or written. */
const storeFailed = ({ description }: TokenStoreFailed): StepFailed => invalid(`the token store failed: ${description}`)

const isSame = (left: Tokens | undefined, right: Tokens | undefined): boolean =>
  left === right ||
  left !== undefined && right !== undefined && Redacted.value(left.accessToken) === Redacted.value(right.accessToken)

const isStepFailed = Schema.is(StepFailed)

const noHeaders: ReadonlyArray<string> = []

/** Attempts of a renewal while the authorization server is unavailable. */
const transient = Schedule.exponential("250 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

export class TokenSource implements Authorizer {
  readonly options: SourceOptions
  readonly tokenRecords: Records<Tokens>
  readonly clients: Records<Client>
  readonly bindings: Records<Binding>
  #tokens: Tokens | undefined
  #headers = noHeaders
  /** The URL of the metadata of the resource, as the server last named it. */
  #metadataUrl: string | undefined
  /** The scopes that the server has asked for in challenges. */
  #challengedScope: string | undefined
  /** Whether the server has asked for a sign-in that tokens cannot replace. */
  #isSignInNeeded = false
  #isLoaded = false
  #renewal: Deferred.Deferred<Verdict> | undefined
  #dpop: Promise<DpopSession> | undefined
  /** Whether the authorization server has refused to renew the current token. */
  #isRefreshRefused = false

  constructor(options: SourceOptions) {
    this.options = options
    this.tokenRecords = records(options.store, Tokens)
    this.clients = records(options.store, Client)
    this.bindings = records(options.store, Binding)
  }

  get tokens(): Tokens | undefined {
    return this.#tokens
  }

  get metadataUrl(): string | undefined {
    return this.#metadataUrl
  }

  /** The scopes to ask for: those of the definition and of challenges; `undefined`, those that the resource names. */
  get wantedScope(): string | undefined {
    return computeScopeUnion(this.options.auth.scope, this.#tokens?.scope, this.#challengedScope)
  }

  get isSignInNeeded(): boolean {
    return this.#isSignInNeeded
  }

  /** Whether tokens are had without a user. */
  get isUnattended(): boolean {
    return this.options.auth.grant === "client_credentials" || this.options.assertion !== undefined
  }

  get state(): SignInState {
    const tokens = this.#tokens
    if (tokens === undefined) return { _tag: this.#isSignInNeeded ? "SignedOut" : "NotNeeded" }
    return {
      _tag: "SignedIn",
      issuer: tokens.issuer,
      scope: tokens.scope,
      expiresAt: tokens.expiresAt,
      isRenewable: this.isUnattended || tokens.refreshToken !== undefined && !this.#isRefreshRefused
    }
  }

  /** Reads the tokens of earlier runs. A store that fails is reported by the renewal that needs it. */
  get load(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isLoaded) return Effect.void
      const { owner, serverUrl } = this.options
      return Effect.gen({ self: this }, function*() {
        const { value: binding } = yield* this.bindings.get(bindingKey(serverUrl.href, owner))
        if (binding !== undefined) {
          this.#metadataUrl ??= binding.metadataUrl
          this.#challengedScope = computeScopeUnion(binding.challengedScope, this.#challengedScope)
          const { value } = yield* this.tokenRecords.get(this.#keyOf(binding))
          // The key that a DPoP token is bound to ended with its process.
          if (value !== undefined && value.tokenType === "Bearer" && this.#tokens === undefined) this.adopt(value)
        }
        this.#isLoaded = true
      }).pipe(Effect.catchCause((cause) => Effect.logDebug("the token store cannot be read", cause)))
    })
  }

  /** Uses tokens from now on. */
  adopt(tokens: Tokens | undefined): void {
    if (isSame(tokens, this.#tokens)) return
    this.#tokens = tokens
    this.#isRefreshRefused = false
    if (tokens !== undefined) this.#isSignInNeeded = false
    this.#headers = tokens === undefined
      ? noHeaders
      : ["authorization", `${tokens.tokenType} ${Redacted.value(tokens.accessToken)}`]
  }

  /** The key pair that tokens are bound to, if the definition wants that. */
  get dpop(): Effect.Effect<DpopSession | undefined> {
    return this.options.auth.dpop === true
      ? Effect.promise(() => this.#dpop ??= DpopSession.create())
      : Effect.undefined
  }

  headers(method: "DELETE" | "GET" | "POST", url: URL): ReadonlyArray<string> | Promise<ReadonlyArray<string>> {
    const tokens = this.#tokens
    if (tokens === undefined) return noHeaders
    const left = tokens.expiresAt === undefined ? Number.POSITIVE_INFINITY : tokens.expiresAt - this.options.now()
    if (left < this.#aheadOf(tokens) && this.#isRenewable(tokens)) {
      const renewed = this.options.run(this.#renew(tokens, true))
      if (left <= 0) return renewed.then(() => this.#signed(method, url))
    }
    return tokens.tokenType === "DPoP" ? this.#signed(method, url) : this.#headers
  }

  challenged(challenge: Challenge): Promise<Verdict> {
    return this.options.run(this.#judge(challenge))
  }

  #judge({ dpopNonce, status, used, wwwAuthenticate }: Challenge): Effect.Effect<Verdict> {
    return Effect.suspend(() => {
      const told = readChallenge(wwwAuthenticate)
      this.#metadataUrl = told.metadataUrl ?? this.#metadataUrl
      const tokens = this.#tokens
      if (dpopNonce !== undefined && status === 401 && told.error === "use_dpop_nonce") {
        return this.#rememberNonce(dpopNonce)
      }
      // The token was renewed while the request was under way.
      if (tokens !== undefined && used[1] !== this.#headers[1]) return Effect.undefined
      if (status === 403 && told.error !== "insufficient_scope") return Effect.succeed(new AuthRequired({ status }))
      const before = computeScopeUnion(tokens?.scope, this.#challengedScope)
      const union = computeScopeUnion(before, told.scope)
      const isWider = isStrictScopeSuperset(union, before)
      this.#challengedScope = computeScopeUnion(this.#challengedScope, told.scope)
      if (status === 403 && !isWider) {
        const description = "the server asks for scopes that were granted already"
        return Effect.succeed(new AuthRequired({ status, description }))
      }
      // A refresh cannot widen what was granted.
      if (isWider && tokens !== undefined && !this.isUnattended) {
        return Effect.as(this.#saveChallengedScope, this.#needSignIn(status))
      }
      return this.#renew(tokens, false)
    })
  }

  /** Saves the scopes to ask for: the user may be asked by another process, such as a command that signs in. */
  get #saveChallengedScope(): Effect.Effect<void> {
    const { owner, serverUrl } = this.options
    const place = bindingKey(serverUrl.href, owner)
    const scope = this.#challengedScope
    return Effect.flatMap(
      this.bindings.get(place),
      ({ value, version }) =>
        value === undefined || scope === undefined || value.challengedScope === scope
          ? Effect.void
          : this.bindings.put(place, { ...value, challengedScope: scope }, version)
    ).pipe(Effect.catchCause((cause) => Effect.logDebug("the scopes to ask for cannot be saved", cause)))
  }

  #rememberNonce(nonce: string): Effect.Effect<Verdict> {
    return Effect.map(this.dpop, (session) => {
      session?.rememberNonce(this.options.serverUrl, nonce)
      return undefined
    })
  }

  #needSignIn(status: number, description?: string): AuthRequired {
    this.#isSignInNeeded = true
    return new AuthRequired({ status, ...(description === undefined ? {} : { description }) })
  }

  #aheadOf({ expiresAt, issuedAt }: Tokens): number {
    return expiresAt === undefined ? 0 : Math.min(this.options.refreshAhead, (expiresAt - issuedAt) / 3)
  }

  #isRenewable({ refreshToken }: Tokens): boolean {
    return this.isUnattended || refreshToken !== undefined && !this.#isRefreshRefused
  }

  async #signed(method: string, url: URL): Promise<ReadonlyArray<string>> {
    const tokens = this.#tokens
    if (tokens?.tokenType !== "DPoP" || this.#dpop === undefined) return this.#headers
    const session = await this.#dpop
    const proof = await session.buildProof({ htm: method, htu: url, accessToken: Redacted.value(tokens.accessToken) })
    return [...this.#headers, "dpop", proof]
  }

  #keyOf({ issuer, resource }: { readonly issuer: string; readonly resource?: string | undefined }): string {
    const { owner, serverUrl } = this.options
    return tokensKey({ issuer, resource: resource ?? serverUrl.href, owner })
  }

  /** Discovers the authorization server of the resource. */
  discover(http: OAuthFetch): Effect.Effect<Discovered, StepFailed> {
    const { auth, serverUrl } = this.options
    return discover({ http, serverUrl, metadataUrl: this.#metadataUrl, issuer: auth.issuer })
  }

  /** Renews the tokens now. */
  renewNow(): Effect.Effect<Verdict> {
    return Effect.suspend(() => this.#renew(this.#tokens, false))
  }

  /** Renews `used`, unless that was done meanwhile. All that wait share one renewal. */
  #renew(used: Tokens | undefined, isEarly: boolean): Effect.Effect<Verdict> {
    return Effect.suspend(() => {
      if (!isSame(used, this.#tokens)) return Effect.undefined
      if (this.#renewal !== undefined) return Deferred.await(this.#renewal)
      const renewal = this.#renewal = Deferred.makeUnsafe<Verdict>()
      return this.#renewOnce(used, isEarly).pipe(
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            this.#renewal = undefined
            return Deferred.done(renewal, exit)
          })
        )
      )
    })
  }

  #renewOnce(used: Tokens | undefined, isEarly: boolean): Effect.Effect<Verdict> {
    const delivery = isEarly ? "NotSent" : "Rejected"
    const renewed: Effect.Effect<Verdict, StepFailed> = Effect.suspend(() => {
      const http = this.options.makeFetch()
      return Effect.flatMap(
        this.discover(http),
        (discovered) => this.locked(discovered, this.#renewIn(discovered, http, used, isEarly))
      )
    })
    return renewed.pipe(
      Effect.retry({ schedule: transient, while: ({ kind }) => kind === "Unavailable" }),
      Effect.tap((verdict) => Effect.sync(() => this.options.onRefresh(verdict === undefined ? "renewed" : "failed"))),
      Effect.catch((failure) =>
        Effect.sync((): AuthRequired | AuthorizationFailed => {
          this.options.onRefresh("failed")
          const reason = reasonOf(failure, delivery, 401)
          return reason._tag === "AuthRequired" ? this.#needSignIn(401, failure.description) : reason
        })
      )
    )
  }

  /** Runs a critical section of the tokens for one authorization server. */
  locked<A>(
    discovered: Discovered,
    effect: Effect.Effect<A, StepFailed | TokenStoreFailed>
  ): Effect.Effect<A, StepFailed> {
    return Effect.mapError(
      this.options.store.locked(this.#keyOf(discovered), effect),
      (error) => isStepFailed(error) ? error : storeFailed(error)
    )
  }

  /** Renews within the critical section. */
  #renewIn(
    discovered: Discovered,
    http: OAuthFetch,
    used: Tokens | undefined,
    isEarly: boolean
  ): Effect.Effect<Verdict, StepFailed | TokenStoreFailed> {
    const key = this.#keyOf(discovered)
    return Effect.gen({ self: this }, function*() {
      const stored = yield* this.tokenRecords.get(key)
      const isFresh = stored.value !== undefined && !isSame(stored.value, used) &&
        stored.value.tokenType === "Bearer" &&
        (stored.value.expiresAt === undefined || stored.value.expiresAt > this.options.now())
      if (isFresh) {
        this.adopt(stored.value)
        return undefined
      }
      return yield* this.#obtain(discovered, http, stored.value).pipe(
        Effect.flatMap((tokens) => Effect.as(this.save(discovered, tokens), undefined)),
        Effect.catchIf(
          (error): error is StepFailed => isStepFailed(error) && error.kind !== "Unavailable",
          (failure) => this.#refused({ discovered, failure, used: stored.value, isEarly })
        )
      )
    })
  }

  /** Asks for tokens without a user. */
  #obtain(
    discovered: Discovered,
    http: OAuthFetch,
    stored: Tokens | undefined
  ): Effect.Effect<Tokens, StepFailed | TokenStoreFailed> {
    return Effect.gen({ self: this }, function*() {
      const { assertion, auth } = this.options
      const dpop = yield* this.dpop
      const request = (client: Client): TokenRequest => ({ auth, discovered, client, http, dpop })
      const given = givenClient({ auth, discovered })
      if (this.isUnattended) {
        if (given === undefined) return yield* invalid("the grant needs a clientId")
        return yield* requestToken({
          ...request(given),
          scope: this.wantedScope ?? discovered.scopes,
          assertion: assertion === undefined ? undefined : yield* assertion(discovered, http)
        })
      }
      const refreshToken = stored?.refreshToken
      if (stored === undefined || refreshToken === undefined) return yield* denied("login_required")
      // The secret in the definition may be newer.
      const client = given?.clientId === stored.client.clientId ? given : stored.client
      return yield* Effect.tapError(
        refresh({ ...request(client), tokens: stored, refreshToken }),
        ({ kind }) => kind === "ClientRefused" ? forgetClient(client, this.clients) : Effect.void
      )
    })
  }

  /** Handles a refusal. A token that is still valid is kept, and so is one that another process has saved. */
  #refused({ discovered, failure, isEarly, used }: {
    readonly discovered: Discovered
    readonly failure: StepFailed
    readonly used: Tokens | undefined
    readonly isEarly: boolean
  }): Effect.Effect<Verdict, StepFailed | TokenStoreFailed> {
    const key = this.#keyOf(discovered)
    return Effect.gen({ self: this }, function*() {
      const stored = yield* this.tokenRecords.get(key)
      if (stored.value !== undefined && !isSame(stored.value, used)) {
        this.adopt(stored.value)
        return undefined
      }
      const isValid = isEarly && used?.expiresAt !== undefined && used.expiresAt > this.options.now()
      if (isValid) {
        this.#isRefreshRefused = true
        return undefined
      }
      if (failure.kind === "Denied" || failure.kind === "ClientRefused") {
        yield* this.tokenRecords.remove(key, stored.version)
        this.adopt(undefined)
      }
      return yield* failure
    })
  }

  /** Saves tokens within the critical section, and uses them. */
  save(discovered: Discovered, tokens: Tokens): Effect.Effect<void, TokenStoreFailed> {
    return Effect.gen({ self: this }, function*() {
      const { owner, serverUrl } = this.options
      const key = this.#keyOf(discovered)
      // Used even if it cannot be saved: a rotated refresh token would be lost else.
      this.adopt(tokens)
      const { version } = yield* this.tokenRecords.get(key)
      yield* this.tokenRecords.put(key, tokens, version)
      const place = bindingKey(serverUrl.href, owner)
      const bound = yield* this.bindings.get(place)
      const binding: Binding = {
        issuer: discovered.issuer,
        ...(discovered.resource === undefined ? {} : { resource: discovered.resource }),
        ...(this.#metadataUrl === undefined ? {} : { metadataUrl: this.#metadataUrl })
      }
      yield* this.bindings.put(place, binding, bound.version)
    })
  }

  /** Forgets the tokens, here and in the store. Returns those that there were. */
  forget(): Effect.Effect<Tokens | undefined, StepFailed> {
    const { owner, serverUrl, store } = this.options
    const place = bindingKey(serverUrl.href, owner)
    return Effect.gen({ self: this }, function*() {
      const bound = yield* this.bindings.get(place)
      const key = this.#keyOf(bound.value ?? { issuer: this.#tokens?.issuer ?? "" })
      const known = yield* store.locked(
        key,
        Effect.gen({ self: this }, function*() {
          const stored = yield* this.tokenRecords.get(key)
          yield* this.tokenRecords.remove(key, stored.version)
          return stored.value ?? this.#tokens
        })
      )
      yield* this.bindings.remove(place, bound.version)
      this.#isSignInNeeded ||= known !== undefined
      this.#challengedScope = undefined
      this.adopt(undefined)
      return known
    }).pipe(Effect.mapError(storeFailed))
  }
}
