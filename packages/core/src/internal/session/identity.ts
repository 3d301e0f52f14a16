/**
 * Identity of a session: an owner at a server, with the credentials that the owner has at the time.
 *
 * Two sessions have the same identity if owner, server and credentials are equal. When the credentials of an owner change, the owner has
 * another identity, which shares nothing with the one before.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"
import type { ConfigError } from "../../ConfigError.ts"
import type { Credentials, CredentialsProvider } from "../../Credentials.ts"
import * as ServerConfig from "../../ServerConfig.ts"
import { CredentialsFailed, SessionError } from "../../SessionError.ts"

/** The longest time that a provider of credentials may take. */
const providerTimeout = Duration.seconds(10)

/** Compares by value, and shows no secret. */
export class Identity implements Equal.Equal {
  readonly owner: string
  readonly server: string
  /** Sorted by name. */
  readonly #credentials: string
  readonly #key: string

  constructor(owner: string, server: string, credentials: string) {
    this.owner = owner
    this.server = server
    this.#credentials = credentials
    this.#key = JSON.stringify([owner, server, credentials])
  }

  /** A key of the identity. It holds secrets, so it must not leave this process or be shown. */
  static keyOf(identity: Identity): string {
    return identity.#key
  }

  /** The identity of all owners that use the same credentials at the server. */
  get endpoint(): Identity {
    return new Identity("", this.server, this.#credentials)
  }

  [Equal.symbol](that: unknown): boolean {
    return that instanceof Identity && this.#key === that.#key
  }

  [Hash.symbol](): number {
    return Hash.string(this.#key)
  }
}

/** A definition with the credentials of an identity. Equal if the identities are. */
export class Identified implements Equal.Equal {
  readonly identity: Identity
  readonly definition: ServerConfig.ServerDefinition

  constructor(identity: Identity, definition: ServerConfig.ServerDefinition) {
    this.identity = identity
    this.definition = definition
  }

  [Equal.symbol](that: unknown): boolean {
    return that instanceof Identified && Equal.equals(this.identity, that.identity)
  }

  [Hash.symbol](): number {
    return Hash.hash(this.identity)
  }
}

type Secrets = Readonly<Record<string, Redacted.Redacted<string>>>

const plain = (secrets: Secrets | undefined): ReadonlyArray<readonly [name: string, value: string]> =>
  Object.entries(secrets ?? {}).map(([name, secret]) => [name, Redacted.value(secret)] as const)
    .toSorted(([a], [b]) => a < b ? -1 : 1)

/** Headers with those of the owner in place of headers of the definition with the same name, whatever the case. */
const mergeHeaders = (own: Secrets, given: Secrets): Secrets => {
  const names = new Set(Object.keys(given).map((name) => name.toLowerCase()))
  return { ...Object.fromEntries(Object.entries(own).filter(([name]) => !names.has(name.toLowerCase()))), ...given }
}

const apply = (
  { config, name }: ServerConfig.ServerDefinition,
  { env, headers }: Credentials
): Effect.Effect<ServerConfig.ServerDefinition, ConfigError> => {
  const merged = {
    ...config,
    ...(headers === undefined ? {} : { headers: mergeHeaders("headers" in config ? config.headers : {}, headers) }),
    ...(env === undefined ? {} : { env: { ..."env" in config ? config.env : {}, ...env } })
  }
  return Effect.flatMap(
    ServerConfig.decodeServers({ servers: { [name]: merged }, path: ["credentials"] }),
    ([definition]) =>
      definition === undefined ? Effect.die("one definition decodes to one") : Effect.succeed(definition)
  )
}

/** Determines the identity of an owner at a server. */
export const identify = (options: {
  readonly owner: string
  readonly definition: ServerConfig.ServerDefinition
  readonly provider: CredentialsProvider | undefined
  /** The result of the last time: with unchanged credentials, nothing is decoded. */
  readonly known: Identified | undefined
}): Effect.Effect<Identified, SessionError | ConfigError> => {
  const { definition, known, owner, provider } = options
  const { name: server } = definition
  if (provider === undefined) return Effect.succeed(new Identified(new Identity(owner, server, ""), definition))
  return provider({ owner, server }).pipe(
    // A provider that does not respond is no fault of the server, and leaves half of a connect to it.
    Effect.timeoutOrElse({
      duration: Duration.min(providerTimeout, Duration.times(definition.config.connectTimeout, 0.5)),
      orElse: () => Effect.fail(new CredentialsFailed({ owner }))
    }),
    Effect.mapError((reason) => new SessionError({ server, reason })),
    Effect.flatMap((credentials) => {
      const secrets = JSON.stringify([plain(credentials.headers), plain(credentials.env)])
      const identity = new Identity(owner, server, secrets)
      return known !== undefined && Equal.equals(known.identity, identity)
        ? Effect.succeed(known)
        : Effect.map(apply(definition, credentials), (definition) => new Identified(identity, definition))
    })
  )
}
