/**
 * What an authorization keeps in the token store: tokens, registered clients, and which authorization server belongs to a server.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { TokenStore, TokenStoreFailed } from "../../TokenStore.ts"

/** A client of an authorization server. */
export const Client = Schema.Struct({
  clientId: Schema.String,
  clientSecret: Schema.optionalKey(Schema.RedactedFromValue(Schema.String)),
  /** When the secret expires, in milliseconds since the epoch. */
  expiresAt: Schema.optionalKey(Schema.Finite),
  issuer: Schema.String,
  redirectUris: Schema.Array(Schema.String)
})
export type Client = typeof Client.Type

/** The tokens of an owner for a resource, issued by one authorization server. */
export const Tokens = Schema.Struct({
  accessToken: Schema.RedactedFromValue(Schema.String),
  tokenType: Schema.Literals(["Bearer", "DPoP"]),
  refreshToken: Schema.optionalKey(Schema.RedactedFromValue(Schema.String)),
  scope: Schema.optionalKey(Schema.String),
  /** When the token was issued and when it expires, in milliseconds since the epoch: processes share them. */
  issuedAt: Schema.Finite,
  expiresAt: Schema.optionalKey(Schema.Finite),
  issuer: Schema.String,
  /** The client that the tokens were issued to. Only it can refresh them, also after another one was registered. */
  client: Client
})
export type Tokens = typeof Tokens.Type

/** Which authorization server and resource belong to the URL of a server, so that tokens are found without a request. */
export const Binding = Schema.Struct({
  issuer: Schema.String,
  resource: Schema.optionalKey(Schema.String),
  /** The URL of the metadata of the resource, if the server named it. */
  metadataUrl: Schema.optionalKey(Schema.String),
  /** The scopes that the next sign-in asks for: those that the server has asked for since the last one. */
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

/** An entry of the store, decoded. An entry that does not decode has a version and no value: the next one that is saved replaces it. */
export interface Stored<A> {
  readonly value: A | undefined
  readonly version: string | undefined
}

/** Entries of one kind. */
export interface Records<A> {
  readonly get: (key: string) => Effect.Effect<Stored<A>, TokenStoreFailed>
  /** Saves if the stored version is still `version`. `false`: another one was saved meanwhile. */
  readonly put: (key: string, value: A, version: string | undefined) => Effect.Effect<boolean, TokenStoreFailed>
  /** Removes an entry if its version is still `version`. */
  readonly remove: (key: string, version: string | undefined) => Effect.Effect<void, TokenStoreFailed>
}

/** Reads and writes entries of one kind. */
export const records = <S extends Schema.Codec<unknown, unknown>>(
  store: TokenStore["Service"],
  schema: S
): Records<S["Type"]> => {
  const text = Schema.fromJsonString(schema)
  const decode = Schema.decodeUnknownOption(text)
  const encode = Schema.encodeUnknownEffect(text)
  return {
    get: (key) =>
      Effect.map(store.get(key), (entry): Stored<S["Type"]> =>
        entry === undefined
          ? { value: undefined, version: undefined }
          : { value: Option.getOrUndefined(decode(Redacted.value(entry.value))), version: entry.version }),
    put: (key, value, version) =>
      encode(value).pipe(
        Effect.orDie,
        Effect.flatMap((json) => store.put({ key, value: Redacted.make(json), version })),
        Effect.map(({ isSaved }) => isSaved)
      ),
    remove: (key, version) => version === undefined ? Effect.void : Effect.asVoid(store.remove({ key, version }))
  }
}
