/**
 * Keys of an issuer: its JSON Web Key Set, which is fetched when the first token needs it.
 *
 * The set is fetched again after {@link maxAge}, and when a token names an unknown key. All waiting tokens share one fetch, and {@link cooldown} separates fetches, so that
 * tokens with invented key ids cause no flood of requests. While the issuer is unreachable, the previous keys stay in use.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8414#section-3
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Jose from "jose"
import type { OAuthFetch } from "../oauth/oauthFetch.ts"
import { FetchFailed } from "../oauth/oauthFetch.ts"

/** The age after which keys are fetched again, in milliseconds. */
const maxAge = 10 * 60_000

/** The minimum time between two fetches, in milliseconds. */
const cooldown = { succeeded: 30_000, failed: 5000 } as const

/** The timeout of a fetch including discovery, in milliseconds. */
const readTimeout = 10_000

/** Statuses that mean that a metadata document does not exist, or is not accessible. */
const absent: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 410])

/** The maximum number of keys of an issuer. */
const mostKeys = 64

/** The keys of the issuer cannot be read. The description names no token. */
export class KeysUnavailable
  extends Schema.TaggedError<KeysUnavailable>("@mcp-sessions/transports/accessTokens/KeysUnavailable")(
    "KeysUnavailable",
    { description: Schema.String }
  )
{}

/** The keys of one fetch. Fetches without a change return the same object. */
export interface KeySet {
  readonly text: string
  /** Finds the key of a token by its header. */
  readonly find: Jose.JWTVerifyGetKey
}

export interface IssuerKeysOptions {
  readonly jose: Pick<typeof Jose, "createLocalJWKSet">
  readonly issuer: string
  /** The URL of the keys; `undefined`: discovered. */
  readonly jwksUri: string | undefined
  readonly http: OAuthFetch
  /** Monotonic time in milliseconds. */
  readonly now: () => number
  /** Runs an effect for as long as the gateway. */
  readonly fork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>
}

/** The URLs of the metadata of an issuer, in the order of the requests. */
const metadataUrls = (issuer: string): ReadonlyArray<string> => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`
    ])
  ]
}

const isKeysUnavailable = Schema.is(KeysUnavailable)

const unavailable = (description: string): KeysUnavailable => new KeysUnavailable({ description })

const textOf = (keys: ReadonlyArray<Jose.JWK>): string => JSON.stringify(keys)

export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  #set: KeySet | undefined
  #readAt = 0
  #attemptedAt: number | undefined
  #failure: KeysUnavailable | undefined
  #reading: Fiber.Fiber<void> | undefined

  constructor(options: IssuerKeysOptions) {
    this.#options = options
  }

  /** The keys of the last successful fetch. */
  get last(): KeySet | undefined {
    return this.#set
  }

  /** Starts a fetch if the keys are old. */
  refreshIfOld(): void {
    if (this.#isOld) this.#startReading()
  }

  /** Returns the keys. Fetches them first if they are unknown or old. */
  get current(): Effect.Effect<KeySet, KeysUnavailable> {
    return Effect.suspend(() => {
      const known = this.#set
      return known !== undefined && !this.#isOld ? Effect.succeed(known) : Effect.flatMap(this.#read, () => this.#known)
    })
  }

  /** Returns keys that are newer than a set; `undefined` if the issuer has no newer keys. */
  newerThan(set: KeySet): Effect.Effect<KeySet | undefined, KeysUnavailable> {
    return Effect.suspend(() =>
      this.#set !== set ? this.#known : Effect.flatMap(this.#read, () =>
        this.#set !== set
          ? this.#known
          : this.#failure === undefined
          ? Effect.undefined
          : Effect.fail(this.#failure))
    )
  }

  get #isOld(): boolean {
    return this.#set !== undefined && this.#options.now() - this.#readAt >= maxAge
  }

  get #known(): Effect.Effect<KeySet, KeysUnavailable> {
    return this.#set === undefined
      ? Effect.fail(this.#failure ?? unavailable("they were not fetched yet"))
      : Effect.succeed(this.#set)
  }

  /** Fetches the keys, or waits for the fetch in progress. Does nothing during the cooldown. */
  get #read(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const reading = this.#startReading()
      return reading === undefined ? Effect.void : Effect.asVoid(Fiber.await(reading))
    })
  }

  #startReading(): Fiber.Fiber<void> | undefined {
    if (this.#reading !== undefined) return this.#reading
    const now = this.#options.now()
    const pause = this.#failure === undefined ? cooldown.succeeded : cooldown.failed
    if (this.#attemptedAt !== undefined && now - this.#attemptedAt < pause) return undefined
    this.#attemptedAt = now
    const reading = this.#options.fork(this.#readOnce)
    this.#reading = reading
    reading.addObserver(() => {
      this.#reading = undefined
    })
    return reading
  }

  get #readOnce(): Effect.Effect<void> {
    const { issuer, jwksUri, now } = this.#options
    const uri = jwksUri === undefined ? this.#discover : Effect.succeed(jwksUri)
    return Effect.flatMap(uri, (url) => this.#document(url)).pipe(
      Effect.flatMap((document) => this.#parse(document)),
      Effect.timeoutOrElse({
        duration: readTimeout,
        orElse: () => Effect.fail(unavailable("the authorization server did not answer in time"))
      }),
      Effect.matchEffect({
        onFailure: (failure) =>
          Effect.suspend(() => {
            const isNew = this.#failure === undefined
            this.#failure = failure
            return isNew
              ? Effect.logWarning(`cannot read the keys of ${issuer}: ${failure.description}`)
              : Effect.void
          }),
        onSuccess: (set) =>
          Effect.sync(() => {
            this.#failure = undefined
            this.#readAt = now()
            if (this.#set?.text !== set.text) this.#set = set
          })
      })
    )
  }

  /** Finds the URL of the keys in the metadata of the issuer. The metadata must name the same issuer (RFC 8414, section 3.3). */
  get #discover(): Effect.Effect<string, KeysUnavailable> {
    return Effect.gen({ self: this }, function*() {
      const { issuer } = this.#options
      for (const url of metadataUrls(issuer)) {
        const metadata = yield* this.#document(url)
        if (metadata === undefined || !("jwks_uri" in metadata)) continue
        if (!("issuer" in metadata) || metadata.issuer !== issuer) {
          return yield* unavailable("the metadata is that of another issuer")
        }
        if (!Predicate.isString(metadata.jwks_uri) || !URL.canParse(metadata.jwks_uri)) break
        return metadata.jwks_uri
      }
      return yield* unavailable("the authorization server has no metadata that names its keys")
    })
  }

  /** Fetches a JSON object; `undefined` if the document does not exist. */
  #document(url: string): Effect.Effect<object | undefined, KeysUnavailable> {
    return Effect.tryPromise({
      try: async (): Promise<object | undefined> => {
        const response = await this.#options.http.fetch(url, { headers: { accept: "application/json" } })
        if (response.status === 200) {
          const value: unknown = await response.json()
          return Predicate.isObject(value) ? value : undefined
        }
        if (absent.has(response.status)) return undefined
        throw unavailable(`the authorization server answered with ${response.status}`)
      },
      catch: (error) =>
        isKeysUnavailable(error)
          ? error
          : unavailable(
            error instanceof FetchFailed
              ? error.message
              : "the response of the authorization server is not JSON"
          )
    })
  }

  #parse(document: object | undefined): Effect.Effect<KeySet, KeysUnavailable> {
    return Effect.suspend(() => {
      const keys: unknown = document !== undefined && "keys" in document ? document.keys : undefined
      if (!Array.isArray(keys) || keys.length === 0) {
        return Effect.fail(unavailable("the document at the URL is not a key set"))
      }
      if (keys.length > mostKeys) return Effect.fail(unavailable(`the key set has more than ${mostKeys} keys`))
      const readable = keys.filter((key) => Predicate.isObject(key)) as Array<Jose.JWK>
      return Effect.try({
        try: () => ({ text: textOf(readable), find: this.#options.jose.createLocalJWKSet({ keys: readable }) }),
        catch: () => unavailable("the key set is malformed")
      })
    })
  }
}
