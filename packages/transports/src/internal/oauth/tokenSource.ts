/**
 * The tokens of one owner at one server: shared by all connections of the two, renewed by one request at a time.
 */
import type { SignInState } from "@mcp-sessions/core/Authorization"
import type { AuthOptions } from "@mcp-sessions/core/ServerConfig"
import { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import { computeScopeUnion, DpopSession, isStrictScopeSuperset } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { TokenStore, TokenStoreFailed } from "../../TokenStore.ts"
import type { Authorizer, Challenge, Verdict } from "../network/authorizer.ts"
import { readChallenge } from "./challenge.ts"
import { discover, type Discovered } from "./discovery.ts"
import { StepFailed, storeFailed } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"
import { Pause } from "./pause.ts"
import { Binding, bindingKey, Client, isSame, type Records, records, Tokens, tokensKey } from "./records.ts"
import { renew } from "./tokenRenewal.ts"

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
  /** Runs an effect in the scope of the layer. The promise never rejects: it gives `otherwise` if the layer closes meanwhile. */
  readonly run: <A>(effect: Effect.Effect<A>, otherwise: A) => Promise<A>
  readonly onRefresh: (outcome: "failed" | "renewed") => void
}

type Seen = Effect.Success<ReturnType<Records<Tokens>["get"]>>

const isStepFailed = Schema.is(StepFailed)

const noHeaders: ReadonlyArray<string> = []

/** How many of the latest tokens are replaced in the texts of servers: requests under way may still carry older ones. */
const secretLimit = 8

/** The end of what waits when the layer closes. */
const closed: Verdict = new AuthorizationFailed({
  description: "the sessions were closed",
  isRetryable: false,
  delivery: "Rejected"
})

export class TokenSource implements Authorizer {
  readonly options: SourceOptions
  readonly tokenRecords: Records<Tokens>
  readonly clients: Records<Client>
  readonly bindings: Records<Binding>
  readonly pause = new Pause()
  #tokens: Tokens | undefined
  #headers = noHeaders
  /** Whether the current tokens were just issued, and no server has accepted them yet. */
  #isUntried = false
  #secrets: ReadonlyArray<string> = []
  /** The URL of the metadata of the resource, as the server last named it. */
  #metadataUrl: string | undefined
  /** The scopes that the server has asked for in challenges. */
  #challengedScope: string | undefined
  /** Whether the server has asked for a sign-in that tokens cannot replace. */
  #isSignInNeeded = false
  #isLoaded = false
  #renewal: Promise<Verdict> | undefined
  #dpop: Promise<DpopSession> | undefined
  /** Whether the authorization server has refused to renew the current token. */
  #isRefreshRefused = false
  /** The entry of the store that the current tokens could not replace. */
  #unsavedOver: Seen | undefined

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
          const { value } = yield* this.tokenRecords.get(this.keyOf(binding))
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
    this.#isUntried = false
    this.#isRefreshRefused = false
    this.#unsavedOver = undefined
    if (tokens !== undefined) {
      this.#isSignInNeeded = false
      const own = [tokens.accessToken, ...(tokens.refreshToken === undefined ? [] : [tokens.refreshToken])]
      this.#secrets = [...own.map(Redacted.value), ...this.#secrets].slice(0, secretLimit)
    }
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
    if (left <= 0 && !this.#isRenewable(tokens)) {
      // Some servers answer an expired token with another status than 401. Without one they ask for a sign-in.
      this.adopt(undefined)
      this.#isSignInNeeded = true
      return noHeaders
    }
    if (left < this.#aheadOf(tokens) && this.#isRenewable(tokens)) {
      const renewed = this.#renew(tokens, true)
      if (left <= 0) return renewed.then(() => this.#signed(method, url))
    }
    return tokens.tokenType === "DPoP" ? this.#signed(method, url) : this.#headers
  }

  readonly secrets = () => this.#secrets

  accepted(used: ReadonlyArray<string>): void {
    if (this.#isUntried && used[1] === this.#headers[1]) this.#isUntried = false
  }

  challenged(challenge: Challenge): Promise<Verdict> {
    return this.options.run(this.#judge(challenge), closed)
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
      const before = computeScopeUnion(tokens?.scope, tokens?.requestedScope)
      const union = computeScopeUnion(before, told.scope)
      const isWider = isStrictScopeSuperset(union, before)
      this.#challengedScope = computeScopeUnion(this.#challengedScope, told.scope)
      if (status === 403 && !isWider) {
        const description = "the server asks for scopes that were granted already"
        return Effect.succeed(new AuthRequired({ status, description }))
      }
      // A refresh cannot widen what was granted. A token that is not valid any more is no question of scopes.
      if (isWider && told.error !== "invalid_token" && tokens !== undefined && !this.isUnattended) {
        return Effect.as(this.#saveChallengedScope, this.needSignIn(status))
      }
      // Another token would be refused as well.
      if (status === 401 && this.#isUntried) {
        return Effect.succeed(this.needSignIn(status, "the server refuses the token that was just issued"))
      }
      return Effect.promise(() => this.#renew(tokens, false))
    })
  }

  /** Saves the scopes to ask for: the user may be asked by another process, such as a command that signs in. */
  get #saveChallengedScope(): Effect.Effect<void> {
    const { owner, serverUrl } = this.options
    const place = bindingKey(serverUrl.href, owner)
    const scope = this.#challengedScope
    return Effect.flatMap(
      this.bindings.get(place),
      (seen) =>
        seen.value === undefined || scope === undefined || seen.value.challengedScope === scope
          ? Effect.void
          : Effect.asVoid(this.bindings.put(place, { ...seen.value, challengedScope: scope }, seen))
    ).pipe(Effect.catchCause((cause) => Effect.logDebug("the scopes to ask for cannot be saved", cause)))
  }

  #rememberNonce(nonce: string): Effect.Effect<Verdict> {
    return Effect.map(this.dpop, (session) => {
      session?.rememberNonce(this.options.serverUrl, nonce)
      return undefined
    })
  }

  /** Notes that tokens cannot replace a sign-in. */
  needSignIn(status: number, description?: string): AuthRequired {
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

  /** The key of the tokens for one authorization server and resource. */
  keyOf({ issuer, resource }: { readonly issuer: string; readonly resource?: string | undefined }): string {
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
    return Effect.promise(() => this.#renew(this.#tokens, false))
  }

  /**
   * Renews `used`, unless that was done meanwhile. All that wait share one renewal, which runs in the scope of the layer: it ends for none of
   * them because another one leaves.
   */
  #renew(used: Tokens | undefined, isEarly: boolean): Promise<Verdict> {
    if (!isSame(used, this.#tokens)) return Promise.resolve(undefined)
    return this.#renewal ??= this.options.run(renew({ source: this, used, isEarly }), closed).finally(() => {
      this.#renewal = undefined
    })
  }

  /** Runs a critical section of the tokens for one authorization server. */
  locked<A>(
    discovered: Discovered,
    effect: Effect.Effect<A, StepFailed | TokenStoreFailed>
  ): Effect.Effect<A, StepFailed> {
    return Effect.mapError(
      this.options.store.locked(this.keyOf(discovered), effect),
      (error) => isStepFailed(error) ? error : storeFailed(error)
    )
  }

  /**
   * Remembers where the tokens of this server are, and the scopes that it has asked for: this sign-in may fail, and the next one needs them. It is saved before a user is asked, so that a store that cannot save is found out then.
   */
  bind(discovered: Discovered): Effect.Effect<void, TokenStoreFailed> {
    return Effect.gen({ self: this }, function*() {
      const { owner, serverUrl } = this.options
      const place = bindingKey(serverUrl.href, owner)
      const binding: Binding = {
        issuer: discovered.issuer,
        ...(discovered.resource === undefined ? {} : { resource: discovered.resource }),
        ...(this.#metadataUrl === undefined ? {} : { metadataUrl: this.#metadataUrl }),
        ...(this.#challengedScope === undefined ? {} : { challengedScope: this.#challengedScope })
      }
      yield* this.bindings.put(place, binding, yield* this.bindings.get(place))
    })
  }

  /** Saves the tokens of a sign-in within the critical section, and uses them. */
  save(discovered: Discovered, tokens: Tokens): Effect.Effect<void, TokenStoreFailed> {
    return Effect.gen({ self: this }, function*() {
      const key = this.keyOf(discovered)
      yield* this.replace(key, tokens, yield* this.tokenRecords.get(key))
      // The tokens say from now on what was asked for.
      this.#challengedScope = undefined
      yield* this.bind(discovered)
    })
  }

  /**
   * Uses tokens, and saves them in the place of those that were seen. If newer ones have been saved meanwhile, uses those. If the store fails,
   * the tokens live in this process until a renewal saves them: the refresh token before them may be spent.
   */
  replace(key: string, tokens: Tokens, seen: Seen): Effect.Effect<void> {
    this.adopt(tokens)
    this.#isUntried = true
    return Effect.matchEffect(this.tokenRecords.put(key, tokens, seen), {
      onFailure: ({ message }) => {
        this.#unsavedOver = seen
        return Effect.logWarning(`the new token could not be saved: ${message}`)
      },
      onSuccess: ({ value }) => Effect.sync(() => this.adopt(value ?? tokens))
    })
  }

  /** The tokens to renew: those of the store, unless this process has newer ones that it could not save. */
  newest(seen: Seen): Tokens | undefined {
    const isUnsaved = seen.isBroken || this.#unsavedOver !== undefined && this.#unsavedOver.version === seen.version
    return isUnsaved ? this.#tokens ?? seen.value : seen.value
  }

  /** Notes that the authorization server refuses to renew the current token, which is still valid. */
  refuseRefresh(): void {
    this.#isRefreshRefused = true
  }

  /** Forgets the tokens, here and in the store. Returns those that there were. */
  forget(): Effect.Effect<Tokens | undefined, StepFailed> {
    const { owner, serverUrl, store } = this.options
    const place = bindingKey(serverUrl.href, owner)
    return Effect.gen({ self: this }, function*() {
      const bound = yield* this.bindings.get(place)
      const key = this.keyOf(bound.value ?? { issuer: this.#tokens?.issuer ?? "" })
      const known = yield* store.locked(
        key,
        Effect.gen({ self: this }, function*() {
          const stored = yield* this.tokenRecords.get(key)
          yield* this.tokenRecords.remove(key, stored)
          return this.newest(stored) ?? this.#tokens
        })
      )
      yield* this.bindings.remove(place, bound)
      this.#isSignInNeeded ||= known !== undefined
      this.#challengedScope = undefined
      this.adopt(undefined)
      return known
    }).pipe(Effect.mapError(storeFailed))
  }
}
