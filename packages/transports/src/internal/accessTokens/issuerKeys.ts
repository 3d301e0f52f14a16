/**
 * Keys of an issuer: its JSON Web Key Set, which is read when a token first needs it.
 *
 * It is read again once it is old, and when a token names a key that is not in it. All tokens that wait share one reading, and readings are
 * {@link cooldown} apart, so that tokens with invented keys cause no flood of requests. While the issuer cannot be reached, the last keys stay
 * in use.
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

/** How old keys get before they are read again, in milliseconds. */
const maxAge = 10 * 60_000

/** How long after a reading the next one may begin, in milliseconds. */
const cooldown = { succeeded: 30_000, failed: 5000 } as const

/** How long a reading may take with its discovery, in milliseconds. */
const readTimeout = 10_000

/** Statuses of a server that has nothing at a URL, or nothing to show. */
const absent: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 410])

/** How many keys an issuer may have. */
const mostKeys = 64

/** The keys of the issuer cannot be read. The description names no token. */
export class KeysUnavailable
  extends Schema.TaggedError<KeysUnavailable>("@mcp-sessions/transports/accessTokens/KeysUnavailable")(
    "KeysUnavailable",
    { description: Schema.String }
  )
{}

/** The keys of one reading. Readings that found no change give the same object. */
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

/** The URLs of the metadata of an issuer, in the order in which they are asked. */
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

  /** The keys that were read last. */
  get last(): KeySet | undefined {
    return this.#set
  }

  /** Starts to read the keys again if they are old. */
  refreshIfOld(): void {
    if (this.#isOld) this.#startReading()
  }

  /** The keys; reads them first if they are unknown or old. */
  get current(): Effect.Effect<KeySet, KeysUnavailable> {
    return Effect.suspend(() => {
      const known = this.#set
      return known !== undefined && !this.#isOld ? Effect.succeed(known) : Effect.flatMap(this.#read, () => this.#known)
    })
  }

  /** Keys that are newer than those in which a token found no key; `undefined` if the issuer has no others. */
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
      ? Effect.fail(this.#failure ?? unavailable("they have not been read"))
      : Effect.succeed(this.#set)
  }

  /** Reads the keys, or waits for the reading in progress. Does nothing during the cooldown. */
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
        orElse: () => Effect.fail(unavailable("the authorization server takes too long"))
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

  /** Finds the URL of the keys in the metadata of the issuer, which has to name the issuer itself (RFC 8414, section 3.3). */
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

  /** Reads a JSON object; `undefined` if there is nothing at the URL. */
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
              : "the authorization server answered with something else than JSON"
          )
    })
  }

  #parse(document: object | undefined): Effect.Effect<KeySet, KeysUnavailable> {
    return Effect.suspend(() => {
      const keys: unknown = document !== undefined && "keys" in document ? document.keys : undefined
      if (!Array.isArray(keys) || keys.length === 0) return Effect.fail(unavailable("there is no key set at the URL"))
      if (keys.length > mostKeys) return Effect.fail(unavailable(`the key set has more than ${mostKeys} keys`))
      const readable = keys.filter((key) => Predicate.isObject(key)) as Array<Jose.JWK>
      return Effect.try({
        try: () => ({ text: textOf(readable), find: this.#options.jose.createLocalJWKSet({ keys: readable }) }),
        catch: () => unavailable("the key set is malformed")
      })
    })
  }
}
