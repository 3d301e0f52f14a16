/**
 * Options of the promise facade, in plain values.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type { CircuitPolicy } from "../../Circuit.ts"
import type { ClientHandlers, Peer } from "../../ClientHandlers.ts"
import type { CredentialsProvider } from "../../Credentials.ts"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import type { AllowCommand, ServerConfigInput } from "../../ServerConfig.ts"
import { CredentialsFailed } from "../../SessionError.ts"
import { BadOptions, checkBy, isPlainObject, optional, type Rules, rulesOf } from "../config/callOptions.ts"
import { aFunction, anything } from "../config/optionRules.ts"
import { retryNumbers, retryPolicyOf } from "./effectOptions.ts"
import { handlersOf, handlersRule, type PlainHandlers } from "./plainHandlers.ts"
import { type PlainTelemetry, telemetryRule } from "./plainTelemetry.ts"
import type { Plain, RetryOptions } from "./promised.ts"

/**
 * Credentials of an owner at a server, as plain text: `headers` for servers behind a URL, `env` for those that are started.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainCredentials {
  /** Headers of every HTTP request or WebSocket handshake. For servers with a URL. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Variables of the child process. For stdio servers. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/**
 * Options of the sessions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The server definitions by name. */
  readonly servers: Readonly<Record<string, ServerConfigInput>>
  /** Answers to requests of servers, for all sessions or per owner and server. Default: requests are refused. */
  readonly handlers?: PlainHandlers | ((peer: Peer) => PlainHandlers) | undefined
  /** Retries of connects, and of requests that may safely be sent again. Default: `RetryPolicy.retryDefault`. */
  readonly retry?: RetryOptions | undefined
  /** Retries of connections that are kept open while nobody calls. Default: `RetryPolicy.reconnectDefault`. */
  readonly reconnect?: RetryOptions | undefined
  /** When the circuit of a failing server opens, and for how long. Default: `Circuit.circuitDefault`. */
  readonly circuit?: Plain<CircuitPolicy> | undefined
  /** When an ejected server is used again. Default: `Fallback.fallbackDefault`. */
  readonly fallback?: Plain<FallbackPolicy> | undefined
  /** Credentials of each owner at each server. Default: those of the definitions. */
  readonly credentials?: ((peer: Peer) => PlainCredentials | Promise<PlainCredentials>) | undefined
  /** Where spans, metrics and logs go. Default: metrics are counted, and nothing is exported. */
  readonly telemetry?: PlainTelemetry | undefined
  /** Decides which programs stdio definitions may start. Default: any. */
  readonly allowCommand?: AllowCommand | undefined
}

/** What credentials must be, before they are redacted. The definition that they become part of is checked after it. */
const isSecrets = (value: unknown): boolean =>
  isPlainObject(value) && Object.values(value as object).every(Predicate.isString)

const isCredentials = (value: unknown): value is PlainCredentials => {
  if (!isPlainObject(value)) return false
  const { env, headers, ...others } = value as PlainCredentials
  return [headers, env].every(optional(isSecrets)) && Object.values(others).every(Predicate.isUndefined)
}

const redact = (secrets: Readonly<Record<string, string>> | undefined) =>
  secrets === undefined ? undefined : Record.map(secrets, (secret) => Redacted.make(secret))

const noCredentials = "credentials are an object of \"headers\" and \"env\", which are objects of text, both optional"

/** Whatever the program returns or throws, the failure is typed. A getter of the credentials may throw as well. */
const credentialsOf = (credentials: NonNullable<Options["credentials"]>): CredentialsProvider => (peer) =>
  Effect.tryPromise({
    try: () =>
      Promise.resolve().then(() => credentials(peer)).then((given: unknown) => {
        if (!isCredentials(given)) throw new TypeError(noCredentials)
        const { env, headers } = given
        return { headers: redact(headers), env: redact(env) }
      }),
    catch: (cause) => new CredentialsFailed({ owner: peer.owner, cause })
  })

/** What each option must be, but those that say which servers there are. The layer checks its policies. */
export const rules: Rules = rulesOf<Omit<Options, "servers"> & { readonly transports: unknown }>({
  allowCommand: aFunction,
  circuit: anything,
  credentials: aFunction,
  fallback: anything,
  handlers: handlersRule,
  reconnect: retryNumbers,
  retry: retryNumbers,
  telemetry: telemetryRule,
  transports: anything
})

const serverRules: Rules = new Map([...rules, ["servers", anything]])

/** Makes policies of checked options. */
export const policiesOf = (
  { allowCommand, circuit, credentials, fallback, reconnect, retry }: Pick<
    Options,
    "allowCommand" | "circuit" | "credentials" | "fallback" | "reconnect" | "retry"
  >
) => ({
  allowCommand,
  circuit,
  fallback,
  retry: retry === undefined ? undefined : retryPolicyOf(retry),
  reconnect: reconnect === undefined ? undefined : retryPolicyOf(reconnect),
  credentials: credentials === undefined ? undefined : credentialsOf(credentials)
})

/** Makes the options of a `Sessions` layer, or returns every problem of those given but the ones that the layer finds. */
export const layerOptions = (options: Options) => {
  const checked = checkBy(serverRules, options)
  return checked instanceof BadOptions ? checked : { ...policiesOf(checked), servers: checked.servers }
}

/** Makes the handlers of a `Sessions` layer. */
export const layerHandlers = (handlers: NonNullable<Options["handlers"]>): typeof ClientHandlers.Service =>
  typeof handlers === "function" ? (peer) => handlersOf(handlers(peer)) : handlersOf(handlers)
