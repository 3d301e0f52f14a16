/**
 * The HTTP client of all transports: every request of Streamable HTTP, SSE and OAuth goes through {@link HttpClient}.
 *
 * Its default sends requests with undici. A program replaces it (in a test, without a socket) or wraps it (to sign requests, to measure them)
 * by a layer below `Transports.layer` or `OAuth.layer`. Nothing else about sessions changes.
 *
 * **Details**
 *
 * These stay in force with every client, because they are above it: the limits on bodies and events, redirects within the origin alone,
 * cookies, credentials and their renewal, the delivery rule, and the check of hosts in URLs under `addresses: "public"`.
 *
 * These are work of the client, and {@link HttpOptions} says what the definition wants: proxies, certificates, the number of connections, the
 * timeout of a connect, and under `addresses: "public"` the check of every address that a name resolves to. A client that replaces the
 * default one must do the same, or refuse such definitions.
 *
 * **Example** (Testing without a socket)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { HttpClient, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const resultOf = (method) =>
 *   method === "initialize"
 *     ? { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "fake", version: "1" } }
 *     : { content: [{ type: "text", text: "sunny" }] }
 *
 * const fake = HttpClient.make(({ body }) => {
 *   const { id, method } = JSON.parse(body ?? "{}")
 *   return Effect.succeed(
 *     id === undefined
 *       ? { status: method === undefined ? 405 : 202, headers: {}, body: "" }
 *       : {
 *         status: 200,
 *         headers: { "content-type": "application/json" },
 *         body: JSON.stringify({ jsonrpc: "2.0", id, result: resultOf(method) })
 *       }
 *   )
 * })
 *
 * const live = Sessions.layer({ servers: { weather: { url: "https://weather.example/mcp", protocol: "legacy" } } }).pipe(
 *   Layer.provide(Transports.layer),
 *   Layer.provide(Layer.succeed(HttpClient.HttpClient, fake))
 * )
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("weather", "today"))
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * result.content // => [{ type: "text", text: "sunny" }]
 * ```
 *
 * @since 0.1.0
 */
import type { RemoteServerOptions, TlsOptions } from "@mcp-sessions/core/ServerConfig"
import type {
  BlockedAddress,
  ConnectionRefused,
  ProxyFailed,
  TlsFailed,
  TransportFailed
} from "@mcp-sessions/core/SessionError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as intercepted from "./internal/network/interceptingClient.ts"
import * as responding from "./internal/network/respondingClient.ts"
import { undiciClient } from "./internal/network/undiciClient.ts"

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * An HTTP client. {@link make} makes one of an effect, and {@link intercept} wraps one. Implement it yourself for a client that reports with
 * callbacks, such as an undici dispatcher of the program.
 *
 * @category services
 * @since 0.1.0
 */
export interface HttpClient {
  /** Makes the connections of one definition, for as long as the scope. Dials nothing yet. */
  readonly open: (options: HttpOptions) => Effect.Effect<HttpConnections, never, Scope.Scope>
}

/**
 * Reference to the HTTP client of transports, which read it when their layer is built. Default: undici, with the proxies, certificates and
 * address policy of each definition.
 *
 * **Example** (Signing each request)
 *
 * ```ts import.meta.vitest
 * import { HttpClient } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 * import { createHmac } from "node:crypto"
 *
 * const sign = ({ body, method, origin, path }) =>
 *   createHmac("sha256", "key").update(`${method} ${origin}${path}\n${body ?? ""}`).digest("hex")
 *
 * const signed = HttpClient.intercept((request) =>
 *   Effect.sync(() => ({ request: { ...request, headers: [...request.headers, "x-signature", sign(request)] } }))
 * )
 * // Provide it to `Transports.layer`. Layers that wrap nest: each finds the client of the layer below.
 * const layer = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, signed))
 * Layer.isLayer(layer) // => true
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const HttpClient: Context.Reference<HttpClient> = Context.Reference<HttpClient>(
  "@mcp-sessions/transports/HttpClient",
  { defaultValue: () => undiciClient }
)

// -----------------------------------------------------------------------------
// Models
// -----------------------------------------------------------------------------

/**
 * What the connections of one definition are for, and how the definition wants them.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions extends Pick<RemoteServerOptions, "addresses" | "connectTimeout" | "proxy"> {
  /**
   * `server`: requests go to the server at `url`. `authorization`: requests go to authorization servers, whose URLs come from the server at
   * `url`.
   */
  readonly purpose: "server" | "authorization"
  /** The certificates of the definition. That of the client is for the host and port of `url` alone. */
  readonly tls?: TlsOptions | undefined
  /** The URL of the definition. */
  readonly url: string
  /** How many connections there may be to one origin, beside those of streams. */
  readonly maxConnections: number
}

/**
 * The connections of one definition.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpConnections {
  /** Checks that the server may be dialled, and reads what dialling takes, such as certificates. Runs before each connect of a session. */
  readonly prepare: Effect.Effect<void, BlockedAddress | ProxyFailed | TlsFailed>
  /**
   * Sends a request, and reports to the handler: nothing but an error before it has returned. Never throws. Follows no redirect, keeps no
   * cookie, repeats nothing, and sets no limit to the time of a response: all of that is done above.
   *
   * Returns a function that gives the request up before its `onRequestStart`, for example while it waits for a connection: nothing of it needs
   * to be sent or reported any more. A client with nothing to stop returns one that does nothing, since the handler aborts a request that
   * starts too late. From `onRequestStart` on, the controller ends the request.
   */
  readonly send: (request: HttpRequest, handler: HttpHandler) => () => void
}

/**
 * An HTTP request. Its fields are those that the dispatchers of undici take.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpRequest {
  /** Scheme, host and port, such as `https://example.com:8443`. */
  readonly origin: string
  /** Path and query. */
  readonly path: string
  /** The method. */
  readonly method: "DELETE" | "GET" | "POST"
  /** Names and values in turn. They contain the credentials of the request. May be shared by requests: do not change it. */
  readonly headers: Array<string>
  /** The whole body, as text; `null`: none. */
  readonly body: string | null
  /** Whether the response is an event stream that stays open. It must not take one of `maxConnections`. */
  readonly isStream: boolean
}

/**
 * The head of an HTTP response.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpHead {
  /** The status, from 200 to 599. */
  readonly status: number
  /** The headers. Those that arrive have names in lower case; a response of {@link make} may have others. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

/**
 * An HTTP response.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpResponse extends HttpHead {
  /** The body, decompressed. A stream is pulled only while the session reads, and interrupted where the transport aborts the request. */
  readonly body: string | Stream.Stream<Uint8Array, HttpFailure>
}

/**
 * Why a request got no response, or why its body broke off. A `delivery` of `NotSent` says that no byte of it was sent, so that a tool call may
 * be sent again.
 *
 * @category errors
 * @since 0.1.0
 */
export type HttpFailure = BlockedAddress | ConnectionRefused | ProxyFailed | TlsFailed | TransportFailed

/**
 * Controls a request in progress.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpController {
  /** Ends the request. Nothing of a request that was not started may be sent any more. */
  readonly abort: (reason: Error) => void
  /** Stops the body until `resume`: the session has more messages than it can take. */
  readonly pause: () => void
  /** Lets the body go on. */
  readonly resume: () => void
}

/**
 * Receives what becomes of a request, in the order of its members: a handler of undici's dispatchers. Ends with `onResponseEnd` or
 * `onResponseError`, once. Nothing has to be reported of a request that was aborted.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpHandler {
  /**
   * The connection is open, and the first byte is about to be sent. From here on a tool call may have run, so never report it later than that. A
   * request that fails before it counts as not sent.
   */
  readonly onRequestStart: (controller: HttpController) => void
  /** The names of headers are in lower case. */
  readonly onResponseStart: (controller: HttpController, status: number, headers: HttpHead["headers"]) => void
  /** A chunk of the body, decompressed. */
  readonly onResponseData: (controller: HttpController, chunk: Uint8Array) => void
  /** The body is complete. */
  readonly onResponseEnd: (controller: HttpController) => void
  /** An error that is an {@link HttpFailure} is passed on. Others are classified by the codes of Node and undici in their chain of causes. */
  readonly onResponseError: (controller: HttpController, error: Error) => void
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * Makes a client that answers each request by an effect. The scope of the effect closes when the response has been read, and an aborted request
 * interrupts it. A close waits a second at most for effects that are not interruptible. Under `addresses: "public"` it refuses URLs whose host is not public.
 *
 * **Gotchas**
 *
 * A request counts as sent when the effect begins. Fail with a reason whose `delivery` is `NotSent`, such as `ConnectionRefused`, where
 * that is certain. `options` says how the definition wants its connections: a client that cannot do that should fail.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  respond: (request: HttpRequest, options: HttpOptions) => Effect.Effect<HttpResponse, HttpFailure, Scope.Scope>
): HttpClient => responding.make(respond)

// -----------------------------------------------------------------------------
// Combinators
// -----------------------------------------------------------------------------

/**
 * What {@link intercept} does with one request. Functions that throw are logged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interception {
  /** The request to send. Default: the request as it is. */
  readonly request?: HttpRequest | undefined
  /** Called with the head of the response. */
  readonly onResponse?: ((head: HttpHead) => void) | undefined
  /** Called once when the response has ended, or with an error if the request has failed or was aborted. */
  readonly onEnd?: ((error: Error | undefined) => void) | undefined
}

/**
 * Wraps a client: `f` sees each request with its credentials, before it waits for a connection, and may change it, fail it, or observe its
 * response. A request whose `f` fails was not sent, and `f` is interrupted when the call is over. Under `addresses: "public"`, a request that `f` directs to a host that is not public fails.
 *
 * **Example** (Measuring responses)
 *
 * ```ts import.meta.vitest
 * import { HttpClient } from "@mcp-sessions/transports"
 * import { Effect } from "effect"
 *
 * const times = []
 * const timed = HttpClient.intercept(({ method, path }) =>
 *   Effect.sync(() => {
 *     const startedAt = performance.now()
 *     return { onEnd: () => void times.push({ method, path, millis: performance.now() - startedAt }) }
 *   })
 * )
 * const client = timed(HttpClient.make(() => Effect.succeed({ status: 204, headers: {}, body: "" })))
 * typeof client.open // => "function"
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const intercept: {
  /**
   * Wraps a client.
   *
   * @since 0.1.0
   */
  (f: (request: HttpRequest) => Effect.Effect<Interception, HttpFailure>): (self: HttpClient) => HttpClient
  /**
   * Wraps a client.
   *
   * @since 0.1.0
   */
  (self: HttpClient, f: (request: HttpRequest) => Effect.Effect<Interception, HttpFailure>): HttpClient
} = dual(2, intercepted.intercept)
