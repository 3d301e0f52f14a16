/**
 * What an authorization keeps in the token store: tokens, registered clients, and which authorization server belongs to a server.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Entry, TokenStore, TokenStoreFailed } from "../../TokenStore.ts"

/** A client of an authorization server. */
export const Client = Schema.Struct({
  clientId: Schema.String,
  clientSecret: Schema.optionalKey(Schema.RedactedFromValue(Schema.String)),
  /** When the secret expires, in milliseconds since the epoch. */
  expiresAt: Schema.optionalKey(Schema.Finite),
  issuer: Schema.String,
  redirectUris: Schema.Array(Schema.String),
  /** How the client proves who it is at the token endpoint, as the authorization server registered it. */
  authMethod: Schema.optionalKey(Schema.String)
})
export type Client = typeof Client.Type

/** The tokens of an owner for a resource, issued by one authorization server. */
export const Tokens = Schema.Struct({
  accessToken: Schema.RedactedFromValue(Schema.String),
  tokenType: Schema.Literals(["Bearer", "DPoP"]),
  refreshToken: Schema.optionalKey(Schema.RedactedFromValue(Schema.String)),
  scope: Schema.optionalKey(Schema.String),
  /** The scope that was asked for. Authorization servers may grant less. */
  requestedScope: Schema.optionalKey(Schema.String),
  /** When the token was issued and when it expires, in milliseconds since the epoch: processes share them. */
  issuedAt: Schema.Finite,
  expiresAt: Schema.optionalKey(Schema.Finite),
  issuer: Schema.String,
  /** The client that the tokens were issued to. Only it can refresh them, also after another one was registered. */
  client: Client
})
export type Tokens = typeof Tokens.Type

/** Whether two are the same tokens. */
export const isSame = (left: Tokens | undefined, right: Tokens | undefined): boolean =>
  left === right ||
  left !== undefined && right !== undefined && Redacted.value(left.accessToken) === Redacted.value(right.accessToken)

/** Which authorization server and resource belong to the URL of a server, so that tokens are found without a request. */
export const Binding = Schema.Struct({
  issuer: Schema.String,
  resource: Schema.optionalKey(Schema.String),
  /** The URL of the metadata of the resource, if the server named it. */
  metadataUrl: Schema.optionalKey(Schema.String),
  /** The scopes that the server has asked for. The next sign-in asks for them, too. */
  challengedScope: Schema.optionalKey(Schema.String)
})
export type Binding = typeof Binding.Type

const keyOf = (...parts: ReadonlyArray<string>): string => JSON.stringify(parts)

export const tokensKey = (options: {
  readonly issuer: string
  readonly resource: string
  readonly owner: string
}): string => keyOf("tokens", options.issuer, options.resource, options.owner)

export const clientKey = (issuer: string): string => keyOf("client", issuer)

export const bindingKey = (serverUrl: string, owner: string): string => keyOf("binding", serverUrl, owner)

/** An entry of the store, as it was seen. */
interface Stored<A> {
  /** `undefined`: there is no entry, or it is broken. */
  readonly value: A | undefined
  readonly version: string | undefined
  /** There is an entry that cannot be read as one of ours. The next one that is saved replaces it. */
  readonly isBroken: boolean
}

/** Entries of one kind. */
export interface Records<A> {
  readonly get: (key: string) => Effect.Effect<Stored<A>, TokenStoreFailed>
  /** Saves in the place of the entry that was seen, and returns the entry that is in the store then: another one, if that was newer. */
  readonly put: (key: string, value: A, seen: Stored<A>) => Effect.Effect<Stored<A>, TokenStoreFailed>
  /** Removes the entry that was seen, unless another one has taken its place. */
  readonly remove: (key: string, seen: Stored<A>) => Effect.Effect<void, TokenStoreFailed>
}

const nothing = { value: undefined, version: undefined, isBroken: false }
const broken = { ...nothing, isBroken: true }

/** Reads and writes entries of one kind. */
export const records = <S extends Schema.Codec<unknown, unknown>>(
  store: TokenStore["Service"],
  schema: S
): Records<S["Type"]> => {
  type Seen = Stored<S["Type"]>
  const text = Schema.fromJsonString(schema)
  const decode = Schema.decodeUnknownOption(text)
  const encode = Schema.encodeUnknownEffect(text)
  const seenOf = (entry: Entry | undefined): Seen => {
    if (entry === undefined) return nothing
    const value = Option.getOrUndefined(decode(Redacted.value(entry.value)))
    return { value, version: entry.version, isBroken: value === undefined }
  }
  const get = (key: string) =>
    Effect.map(store.get(key), seenOf).pipe(
      Effect.catchIf(({ reason }) => reason === "Broken", () => Effect.succeed<Seen>(broken))
    )
  const remove = (key: string, { isBroken, version }: Seen) =>
    version === undefined && !isBroken ? Effect.void : Effect.asVoid(store.remove({ key, version }))
  return {
    get,
    remove,
    put: (key, value, seen) =>
      Effect.gen(function*() {
        const json = yield* Effect.orDie(encode(value))
        // A store replaces only entries of its own.
        if (seen.isBroken && seen.version === undefined) yield* remove(key, seen)
        const { entry } = yield* store.put({ key, value: Redacted.make(json), version: seen.version })
        return seenOf(entry)
      })
  }
}
