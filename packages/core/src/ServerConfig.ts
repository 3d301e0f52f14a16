/**
 * Definitions of MCP servers: their types, their schema, and a decoder that reports every problem of a configuration at once.
 *
 * **Details**
 *
 * A definition is for one of four transports. `command` means stdio, a `url` that starts with ws:// or wss:// means WebSocket,
 * and any other `url` means Streamable HTTP with a fallback to SSE; `transport` names one of the four instead. Secrets are
 * redacted from decoding on. Durations are milliseconds, text such as `"20 seconds"`, or `Duration`s. Decoding a decoded
 * definition changes nothing.
 *
 * The names that other programs use are accepted, too:
 *
 * | alias | canonical |
 * | --- | --- |
 * | `type` | `transport` |
 * | `streamable-http`, `streamableHttp` | `streamable_http` |
 * | `http`, `remote` | `streamable_http` with `sseFallback: true` |
 * | `local`, `ws` | `stdio`, `websocket` |
 * | `httpUrl`, `serverUrl`, `baseUrl` | `url` |
 * | `environment`, `envs` | `env` |
 * | `command: [program, ...args]` | `command`, `args` |
 * | `enabled: false` | `disabled: true` |
 * | `timeout` | `requestTimeout` |
 * | `encoding_error_handler` | `encodingErrors` |
 *
 * **Gotchas**
 *
 * Each key takes effect or is reported as a problem; no key is ignored. Programs start directly, never through a shell.
 *
 * @since 0.1.0
 */
import type { Config } from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as ConfigError from "./ConfigError.ts"
import { isAllowed } from "./internal/config/allowCommand.ts"
import { decodeServer, isRaw } from "./internal/config/decodeServer.ts"
import { failWith } from "./internal/config/failWith.ts"
import * as Keys from "./internal/config/keys.ts"
import * as values from "./internal/config/values.ts"

// -----------------------------------------------------------------------------
// Decoded definitions
// -----------------------------------------------------------------------------

/**
 * Secrets by name, such as headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Secrets {
  readonly [name: string]: Redacted.Redacted<string>
}

/**
 * Variables of a process by name. `null` removes one that the process would inherit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Variables {
  readonly [name: string]: Redacted.Redacted<string> | null
}

/**
 * The name and version that a client tells a server in the handshake.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientInfo {
  /** The name for programs. */
  readonly name: string
  /** The version of the client. */
  readonly version: string
  /** The name for people. */
  readonly title?: string
}

/**
 * A limit of requests that start within a time window.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit {
  /** The number of requests, from 1 to 1000000. */
  readonly limit: number
  /** The length of the window, from 1 ms to 24 hours. */
  readonly window: Duration.Duration
}

/**
 * How owners are authorized. Each key is optional.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 * @category models
 * @since 0.1.0
 */
export interface AuthOptions {
  /**
   * `authorization_code` (default): a user signs in. `client_credentials`: the program itself is authorized. `jwt_bearer`: the program
   * gives an assertion about the owner (RFC 7523).
   */
  readonly grant?: "authorization_code" | "client_credentials" | "jwt_bearer"
  /** The id of a client that was registered before. Without it, the client is registered with the authorization server. */
  readonly clientId?: string
  /** The secret of `clientId`. */
  readonly clientSecret?: Redacted.Redacted<string>
  /** The https URL of a client-id metadata document, which authorization servers that support these take in place of a registration. */
  readonly clientMetadataUrl?: string
  /** The private key in PEM with which the client proves who it is (`private_key_jwt`), in place of a secret. */
  readonly privateKey?: Redacted.Redacted<string>
  /** The signature algorithm of `privateKey`. Default: `RS256` or `ES256`, as the key allows. */
  readonly algorithm?: string
  /** The scopes to ask for, separated by spaces. Default: those that the server names. */
  readonly scope?: string
  /** The only authorization server that gets the credentials. Default: the one that the server names. */
  readonly issuer?: string
  /** The port of the loopback redirect, from 1 to 65535. Default: one that is derived from the server, or any that is free. */
  readonly redirectPort?: number
  /** Binds tokens to a key of this process (DPoP, RFC 9449). Default: false. */
  readonly dpop?: boolean
}

/**
 * Certificates for https and wss. Each key is optional, and each value that holds PEM is a file or the text itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsOptions {
  /** The authorities to trust beside the default ones. */
  readonly ca?: string | ReadonlyArray<string>
  /** The certificate of the client, with those that lead to its authority. */
  readonly cert?: string
  /** The private key of `cert`. */
  readonly key?: Redacted.Redacted<string>
  /** The name that the certificate of the server has to have. Default: the host of the URL. */
  readonly serverName?: string
}

/**
 * The keys that every server definition has.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions {
  /**
   * Keeps the definition, and fails every use of the server with `DisabledServer`. Default: false. Switches a server
   * off without losing its definition.
   */
  readonly disabled: boolean
  /**
   * Lets retries rely on `readOnlyHint` and `idempotentHint` of the server's tools. Default: false. A hostile server
   * can mark any tool as safe to repeat.
   */
  readonly trusted: boolean
  /**
   * Lets the clients of a gateway share one session of the server. Without it, each client has a session of its own.
   * Default: false. A server may keep state for a session that another client must not see.
   */
  readonly stateless: boolean
  /**
   * Selects the protocol: `legacy` starts with `initialize` (revisions 2024-11-05 to 2025-11-25), `2026-07-28` is
   * stateless and waits for the server until `connectTimeout`, `auto` negotiates. Accepts "auto", "legacy" or
   * "2026-07-28". Default: auto. Servers of both eras are in use.
   */
  readonly protocol: "auto" | "legacy" | "2026-07-28"
  /**
   * Names the client to the server. Accepts an object with name, version and optionally title, each a non-empty string.
   * Default: mcp-sessions and its version. Servers log it.
   */
  readonly clientInfo: ClientInfo
  /**
   * Limits the wait for the response to one request. Progress notifications start it anew. A call that takes longer has
   * a `timeout` of its own: above 10 seconds, it also lets the server answer no ping meanwhile. Accepts a duration from
   * 1 ms to 24 hours (numbers are milliseconds). Default: 60 seconds. MCP clients commonly wait this long.
   */
  readonly requestTimeout: Duration.Duration
  /**
   * Limits one operation: queueing, all attempts and the backoff between them. Accepts a duration from 1 ms to 24 hours
   * (numbers are milliseconds). Default: 5 minutes. The sum of all attempts needs a bound too.
   */
  readonly totalTimeout: Duration.Duration
  /**
   * Limits the wait for the response to the era probe when `protocol` is `auto`, also to half of `connectTimeout`. A
   * server that stays silent then gets `initialize`, and a late response to the probe still counts. Accepts a duration
   * from 10 ms to 1 minute (numbers are milliseconds). Default: 3 seconds. Older servers ignore unknown methods, and
   * slow ones start late.
   */
  readonly probeTimeout: Duration.Duration
  /**
   * Probes a quiet connection at this interval (±20 %), but not before a request in flight has waited as long. A server
   * that does not answer within 10 seconds is replaced, and its requests in flight end, except calls that have reported
   * progress or have a `timeout` of their own above 10 seconds. Set it above the longest other call of a server that
   * handles one at a time. 0 disables the probes. Accepts a duration from 0 to 24 hours (numbers are milliseconds).
   * Default: 60 seconds. A lost connection does not always report its end.
   */
  readonly healthInterval: Duration.Duration
  /**
   * Replaces a connection at this age, less up to 2.5 % at random. 0 disables the replacement. Accepts a duration from
   * 0 to 30 days (numbers are milliseconds). Default: 0. Rebalances connections behind a load balancer and limits
   * leaks, at the price of the server's session state.
   */
  readonly maxLifetime: Duration.Duration
  /**
   * Limits the requests in flight of one session. Further requests queue. Accepts a whole number from 1 to 100000.
   * Default: 64. One caller with many requests must not delay the next caller.
   */
  readonly maxInFlight: number
  /**
   * Limits the requests in flight of all sessions of the server. Owners take turns. Accepts a whole number from 1 to
   * 100000. Default: 256. One owner must not take every permit.
   */
  readonly maxInFlightTotal: number
  /**
   * Limits the queued requests of one session. Further requests fail with `QueueFull`. Accepts a whole number from 0 to
   * 1000000. Default: 1000. An unbounded queue hides that a server cannot keep up.
   */
  readonly maxQueued: number
  /**
   * Limits how many requests start within a time window. Accepts an object with limit (a whole number from 1 to
   * 1000000) and window (a duration from 1 ms to 24 hours). Default: unlimited. Stays within a published quota. Without
   * it, `Retry-After` of a 429 response delays requests.
   */
  readonly rateLimit?: RateLimit
  /**
   * Limits the size of one message from the server, in bytes, after decompression. Accepts a whole number from 1024 to
   * 1073741824. Default: 16777216 (16 MiB). A server must not exhaust the memory of the client.
   */
  readonly maxMessageBytes: number
}

/**
 * The keys that the definition of every remote server has.
 *
 * @category models
 * @since 0.1.0
 */
export interface RemoteServerOptions extends ServerOptions {
  /**
   * Sends headers with every HTTP request or WebSocket handshake. Values are redacted. Accepts an object of strings by
   * header name. Default: none. Servers take credentials from headers.
   */
  readonly headers: Secrets
  /**
   * Says how owners are authorized by a program with `OAuth`. `false` never signs in. `grant` is `authorization_code`
   * (default), where a user signs in, `client_credentials`, or `jwt_bearer`, with an assertion of the program. A client
   * without `clientId` is registered. `issuer` is the only authorization server that gets the credentials. Accepts
   * false, or an object with any of grant, clientId, clientSecret, clientMetadataUrl, privateKey, algorithm, scope,
   * issuer, redirectPort, dpop (clientSecret and privateKey with clientId, client_credentials with one of them).
   * Default: a user signs in when the server asks for it. Most servers tell a client all that it has to know.
   */
  readonly auth?: false | AuthOptions
  /**
   * Selects the HTTP proxy of the server and of its authorization server: the one at a URL, which may hold a user name
   * and a password, that of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (`environment`), or none. The environment's
   * proxy is not used for loopback. The URL is redacted. Accepts "environment", "none", or an http:// or https:// URL
   * without a path. Default: environment. Many networks are reached through a proxy only.
   */
  readonly proxy: "environment" | "none" | Redacted.Redacted<string>
  /**
   * Sets certificates for https and wss. `ca` names authorities to trust beside the default ones, `cert` and `key` the
   * certificate and the private key by which the client is known, each as a file in PEM, read at each connect, or as
   * its text. `serverName` is the name that the certificate of the server has to have. `ca` holds for the authorization
   * server and a proxy too, the others for the server alone. The key is redacted. Checks of certificates cannot be
   * switched off: name a certificate that signs itself in `ca`. Accepts an object with any of ca, cert, key,
   * serverName, each a non-empty string (ca also a list of them, cert with key). Default: the authorities of Node, with
   * those of `NODE_EXTRA_CA_CERTS`. Servers within a company have an authority of their own.
   */
  readonly tls?: TlsOptions
  /**
   * Restricts the addresses to dial: `public` allows only publicly routable addresses, in the URL and from DNS. Names
   * are then resolved here, also where a proxy is used, which itself may have any address. Accepts "any" or "public".
   * Default: any. URLs from other people must not lead into your network.
   */
  readonly addresses: "any" | "public"
  /**
   * Limits one connect, from its start to the end of the handshake. Accepts a duration from 1 ms to 10 minutes (numbers
   * are milliseconds). Default: 20 seconds. A server that starts on demand may take several seconds.
   */
  readonly connectTimeout: Duration.Duration
  /**
   * Closes a connection that stays unused for this long. Accepts a duration from 0 to 24 hours (numbers are
   * milliseconds). Default: 5 minutes. Load balancers commonly drop connections that stay idle for longer.
   */
  readonly idleTimeToLive: Duration.Duration
}

/**
 * A server that runs as a child process and communicates over its standard streams.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 * @category models
 * @since 0.1.0
 */
export interface StdioServer extends ServerOptions {
  /**
   * Selects the transport. Default: `stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or
   * wss://, else `streamable_http` with `sseFallback`. `command` and the scheme of `url` decide it in most definitions.
   */
  readonly transport: "stdio"
  /**
   * Names the program to start, without a shell. Accepts a non-empty string without NUL characters. A shell would
   * interpret the arguments.
   */
  readonly command: string
  /**
   * Lists the arguments of the program. Accepts a list of strings without NUL characters. Default: none. Each argument
   * reaches the program as it is written.
   */
  readonly args: ReadonlyArray<string>
  /**
   * Sets variables of the program, in addition to those that it inherits. `null` removes one that it would inherit.
   * Values are redacted. Accepts an object of strings and null by variable name. Default: none. Servers take
   * credentials from variables.
   */
  readonly env: Variables
  /**
   * Names further variables of this process that the program inherits. Every program inherits `HOME`, `LOGNAME`,
   * `PATH`, `SHELL`, `TERM`, `USER`, `TMPDIR`, `TMP`, `TEMP`, `TZ`, `LANG`, `LANGUAGE`, `LC_*`, `XDG_*`, `npm_config_*`
   * without credentials, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in either case, with the credentials
   * of a proxy, `NODE_USE_ENV_PROXY`, `NODE_USE_SYSTEM_CA`, `NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`, `SSL_CERT_DIR`,
   * `CURL_CA_BUNDLE` and `REQUESTS_CA_BUNDLE`. `false` leaves `PATH` alone. Unsafe variables are inherited by their
   * full names only, with `allowUnsafeEnv`. Accepts false, or a list of names of variables, each of which may end in *.
   * Default: none. A program needs to find its files, its caches and the network. Other variables of this process must
   * not leak into it.
   */
  readonly inheritEnv: false | ReadonlyArray<string>
  /**
   * Allows `env` and `inheritEnv` to name variables that change which code runs, such as `NODE_OPTIONS` and
   * `LD_PRELOAD`. Default: false. A definition should run the program that it shows.
   */
  readonly allowUnsafeEnv: boolean
  /**
   * Sets the working directory of the program. Accepts a non-empty string without NUL characters. Default: that of this
   * process. Some servers resolve paths against it.
   */
  readonly cwd?: string
  /**
   * Selects the encoding of the program's stdout. Accepts "utf-8", "utf-16le" or "latin1". Default: utf-8. The
   * specification requires UTF-8.
   */
  readonly encoding: "utf-8" | "utf-16le" | "latin1"
  /**
   * Handles bytes that do not decode: `strict` ends the connection, `replace` puts U+FFFD in their place, `ignore`
   * drops them. Accepts "strict", "replace" or "ignore". Default: strict. Changed text would change the meaning of a
   * message.
   */
  readonly encodingErrors: "strict" | "replace" | "ignore"
  /**
   * Limits the non-JSON-RPC lines in a row on the program's stdout. One more ends the connection. Accepts a whole
   * number from 0 to 1000000. Default: 1000. A banner on stdout is harmless, a log on stdout is a fault.
   */
  readonly maxNoiseLines: number
  /**
   * Limits one connect, from its start to the end of the handshake. Accepts a duration from 1 ms to 10 minutes (numbers
   * are milliseconds). Default: 30 seconds. `npx` may have to install the server first.
   */
  readonly connectTimeout: Duration.Duration
  /**
   * Closes a connection that stays unused for this long. Accepts a duration from 0 to 24 hours (numbers are
   * milliseconds). Default: 10 minutes. Starting a process costs more than opening a socket.
   */
  readonly idleTimeToLive: Duration.Duration
}

/**
 * A server behind one HTTP endpoint.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @category models
 * @since 0.1.0
 */
export interface StreamableHttpServer extends RemoteServerOptions {
  /**
   * Selects the transport. Default: `stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or
   * wss://, else `streamable_http` with `sseFallback`. `command` and the scheme of `url` decide it in most definitions.
   */
  readonly transport: "streamable_http"
  /**
   * Locates the endpoint of the server. Accepts an http:// or https:// URL without user name and password. Credentials
   * belong in `headers`, which are redacted.
   */
  readonly url: string
  /**
   * Falls back to SSE when a streamable_http server rejects POST. Default: false; true for the transport `http` or
   * `remote`, and for a `url` without a transport. Those spellings do not say which of the two HTTP transports the
   * server speaks.
   */
  readonly sseFallback: boolean
  /**
   * Keeps the cookies that a server over Streamable HTTP or SSE sets, and sends them back with further requests of the
   * same connection. Each connection has its own, up to 50 of 8192 characters in all, which end with it. Default:
   * false. Some load balancers tell by a cookie which server has the session.
   */
  readonly cookies: boolean
}

/**
 * A server behind the two endpoints of the HTTP transport of 2024-11-05.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 * @category models
 * @since 0.1.0
 */
export interface SseServer extends RemoteServerOptions {
  /**
   * Selects the transport. Default: `stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or
   * wss://, else `streamable_http` with `sseFallback`. `command` and the scheme of `url` decide it in most definitions.
   */
  readonly transport: "sse"
  /**
   * Locates the endpoint of the server. Accepts an http:// or https:// URL without user name and password. Credentials
   * belong in `headers`, which are redacted.
   */
  readonly url: string
  /**
   * Keeps the cookies that a server over Streamable HTTP or SSE sets, and sends them back with further requests of the
   * same connection. Each connection has its own, up to 50 of 8192 characters in all, which end with it. Default:
   * false. Some load balancers tell by a cookie which server has the session.
   */
  readonly cookies: boolean
}

/**
 * A server behind a WebSocket.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketServer extends RemoteServerOptions {
  /**
   * Selects the transport. Default: `stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or
   * wss://, else `streamable_http` with `sseFallback`. `command` and the scheme of `url` decide it in most definitions.
   */
  readonly transport: "websocket"
  /**
   * Locates the endpoint of the server. Accepts a ws:// or wss:// URL without user name and password. Credentials
   * belong in `headers`, which are redacted.
   */
  readonly url: string
}

/**
 * A decoded server definition.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerConfig = StdioServer | StreamableHttpServer | SseServer | WebSocketServer

/**
 * A decoded definition with the name of its server.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerDefinition {
  /** The name of the server. */
  readonly name: string
  /** The decoded definition. */
  readonly config: ServerConfig
}

/**
 * The transports that a definition can name.
 *
 * @category models
 * @since 0.1.0
 */
export type TransportKind = ServerConfig["transport"]

/**
 * All {@link TransportKind}s.
 *
 * @category constants
 * @since 0.1.0
 */
export const transportKinds: ReadonlyArray<TransportKind> = Keys.transportKinds

// -----------------------------------------------------------------------------
// Definitions as users write them
// -----------------------------------------------------------------------------

/**
 * A duration as users write it: milliseconds, text such as `"20 seconds"`, or a `Duration`.
 *
 * @category models
 * @since 0.1.0
 */
export type DurationInput = Duration.Duration | number | string

/** Variables as users write them. */
type VariablesInput = Readonly<Record<string, string | Redacted.Redacted<string> | null>>

type InputOf<Value> = Value extends Duration.Duration ? DurationInput
  : Value extends Secrets ? Readonly<Record<string, string | Redacted.Redacted<string>>>
  : Value extends Variables ? VariablesInput
  : Value extends RateLimit ? { readonly limit: number; readonly window: DurationInput }
  : Value extends Redacted.Redacted<string> ? string | Redacted.Redacted<string>
  : Value extends AuthOptions | TlsOptions ? keyof Value extends keyof AuthOptions ? RedactedInputs<AuthOptions>
    : keyof Value extends keyof TlsOptions ? RedactedInputs<TlsOptions>
    : Value
  : Value

/** Every member optional, and secrets as plain text too. */
type RedactedInputs<Options> = {
  readonly [Key in keyof Options]?:
    | (Options[Key] extends Redacted.Redacted<string> | undefined ? string | Redacted.Redacted<string> : Options[Key])
    | undefined
}

/** Every key optional, in the form that users write. */
type Inputs<Options> = { readonly [Key in keyof Options]?: InputOf<Options[Key]> | undefined }

interface Aliases {
  /** The opposite of `disabled`. */
  readonly enabled?: boolean | undefined
  /** Another name for `requestTimeout`. */
  readonly timeout?: DurationInput | undefined
}

/**
 * The definition of a {@link StdioServer} as users write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StdioServerInput extends Inputs<Omit<StdioServer, "command" | "transport">>, Aliases {
  /** Selects the transport. Optional, because `command` decides it. */
  readonly transport?: "stdio" | "local" | undefined
  /** Another name for `transport`. */
  readonly type?: "stdio" | "local" | undefined
  /** Names the program to start, without a shell, or lists the program and its arguments. */
  readonly command: string | ReadonlyArray<string>
  /** Another name for `env`. */
  readonly environment?: VariablesInput | undefined
  /** Another name for `env`. */
  readonly envs?: VariablesInput | undefined
  /** Another name for `encodingErrors`. */
  readonly encoding_error_handler?: StdioServer["encodingErrors"] | undefined
  /** A key of remote servers. */
  readonly url?: undefined
}

interface RemoteServerInput extends Aliases {
  /** Locates the endpoint of the server. Credentials belong in `headers`. */
  readonly url: string
  /** A key of stdio servers. */
  readonly command?: undefined
}

type HttpName = "http" | "remote" | "streamable-http" | "streamableHttp" | "streamable_http"

/**
 * The definition of a {@link StreamableHttpServer} as users write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamableHttpServerInput
  extends RemoteServerInput, Inputs<Omit<StreamableHttpServer, "transport" | "url">>
{
  /** Selects the transport. Optional, because `url` decides it. `http` and `remote` set `sseFallback`. */
  readonly transport?: HttpName | undefined
  /** Another name for `transport`. */
  readonly type?: HttpName | undefined
}

/**
 * The definition of an {@link SseServer} as users write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SseServerInput extends RemoteServerInput, Inputs<Omit<SseServer, "transport" | "url">> {
  /** Selects the transport. */
  readonly transport: "sse"
}

/**
 * The definition of a {@link WebSocketServer} as users write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketServerInput extends RemoteServerInput, Inputs<Omit<WebSocketServer, "transport" | "url">> {
  /** Selects the transport. */
  readonly transport: "websocket" | "ws"
}

interface AliasedServerInput extends Aliases, Inputs<Omit<StreamableHttpServer, "transport" | "url">> {
  /** Selects the transport. */
  readonly transport?: HttpName | SseServerInput["transport"] | WebSocketServerInput["transport"] | undefined
  /** Another name for `transport`. */
  readonly type?: HttpName | SseServerInput["transport"] | WebSocketServerInput["transport"] | undefined
  /** A key of stdio servers. */
  readonly command?: undefined
}

/**
 * The definition of a remote server with another name for `transport` or `url`.
 *
 * @category models
 * @since 0.1.0
 */
export type RemoteServerAlias =
  | AliasedServerInput & { readonly url: string }
  | AliasedServerInput & { readonly httpUrl: string; readonly url?: undefined }
  | AliasedServerInput & { readonly serverUrl: string; readonly url?: undefined }
  | AliasedServerInput & { readonly baseUrl: string; readonly url?: undefined }

/**
 * A server definition as users write it, in programs and in files.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerConfigInput =
  | StdioServerInput
  | StreamableHttpServerInput
  | SseServerInput
  | WebSocketServerInput
  | RemoteServerAlias

/**
 * A value that `Config`s may stand in for, as a whole or in part.
 *
 * @category models
 * @since 0.1.0
 */
export type Configured<A> =
  | A
  | Config<A>
  | (A extends Redacted.Redacted<unknown> | Duration.Duration ? never
    : A extends object ? { readonly [K in keyof A]: Configured<A[K]> }
    : never)

/**
 * Definitions of servers with `Config`s, for `Sessions.layerConfig`. A `Config` of all servers may give any object: its definitions are checked
 * like those of a file.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfiguredServers =
  | Config<Readonly<Record<string, unknown>>>
  | Readonly<Record<string, Configured<ServerConfigInput> | Config<unknown>>>

// -----------------------------------------------------------------------------
// Schema
// -----------------------------------------------------------------------------

/**
 * Schema of a server definition in canonical form. {@link decode} accepts aliases, too, and explains problems better.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ServerConfig: Schema.Codec<ServerConfig, typeof Keys.ServerConfig.Encoded> = Keys.ServerConfig

// -----------------------------------------------------------------------------
// Decoding
// -----------------------------------------------------------------------------

/**
 * Decodes one definition of unknown origin, or fails with every problem of it.
 *
 * **Example** (Decoding a definition without a transport)
 *
 * ```ts import.meta.vitest
 * import { ServerConfig } from "@mcp-sessions/core"
 * import { Effect } from "effect"
 *
 * const config = await Effect.runPromise(ServerConfig.decode({ url: "https://example.com/mcp" }))
 * config.transport // => "streamable_http"
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (raw: unknown): Effect.Effect<ServerConfig, ConfigError.ConfigError> =>
  Result.match(decodeServer({ raw, place: { source: undefined, server: undefined, path: [] } }), {
    onSuccess: Effect.succeed,
    onFailure: failWith
  })

/**
 * Checks whether a variable may change which code a program runs, such as `NODE_OPTIONS`. A definition names one only with
 * `allowUnsafeEnv: true`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isUnsafeVariable = (name: string): boolean => values.isUnsafeVariable(name)

/**
 * Decides whether a definition may start a program, for applications that take definitions from other people. Whatever is not `true`, an
 * exception included, means that it may not.
 *
 * @category models
 * @since 0.1.0
 */
export type AllowCommand = (program: { readonly command: string; readonly args: ReadonlyArray<string> }) => boolean

/**
 * Decodes an object of definitions by server name, or fails with every problem of all of them.
 *
 * `source` and `path` locate the object in the problems; default: no source, path `["servers"]`. `allowCommand` decides which
 * programs stdio definitions may start; default: any.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeServers = Effect.fnUntraced(function*(options: {
  readonly servers: unknown
  readonly source?: string | undefined
  readonly path?: ReadonlyArray<string> | undefined
  readonly allowCommand?: AllowCommand | undefined
}): Effect.fn.Return<ReadonlyArray<ServerDefinition>, ConfigError.ConfigError> {
  const { allowCommand, path = ["servers"], servers, source } = options
  if (!isRaw(servers)) {
    const expected = "an object of server definitions by name"
    return yield* failWith([new ConfigError.InvalidValue({ source, path, expected })])
  }
  const problems: Array<ConfigError.ConfigProblem> = []
  const definitions: Array<ServerDefinition> = []
  for (const [name, raw] of Object.entries(servers)) {
    const decoded = decodeServer({ raw, place: { source, server: name, path: [...path, name] } })
    if (Result.isFailure(decoded)) {
      problems.push(...decoded.failure)
      continue
    }
    const config = decoded.success
    if (config.transport === "stdio" && !isAllowed(config, allowCommand)) {
      const { args, command } = config
      const place = { source, server: name, path: [...path, name, "command"] }
      problems.push(new ConfigError.DisallowedCommand({ ...place, command, args: Redacted.make(args) }))
    }
    definitions.push({ name, config })
  }
  return problems.length === 0 ? definitions : yield* failWith(problems)
})
