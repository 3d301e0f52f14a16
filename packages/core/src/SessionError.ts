/**
 * The one error of session operations: a {@link SessionError} names the server and carries a `reason` from a closed union.
 *
 * A reason answers four questions without its text: whether another attempt may help (`isRetryable`), whether the request ran
 * (`delivery`), whether the connection is gone (`losesConnection`), and what the failure says about the server (`health`).
 *
 * **Gotchas**
 *
 * A tool error (`isError: true`) is a result, not a failure, unless the call has a `schema`. Servers report an unknown tool either way: as `ProtocolFailed`, or as a tool
 * error.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type CallToolResult, text } from "./Mcp.ts"

/**
 * How far a failed request got.
 *
 * - `NotSent`: nothing of it left this process. Sending it again cannot run it twice.
 * - `Rejected`: the server refused it before running it. Sending it again cannot run it twice.
 * - `Unknown`: it was written and got no response. It may have run.
 * - `Answered`: the server responded. It is never sent again.
 *
 * @category models
 * @since 0.1.0
 */
export type Delivery = "NotSent" | "Rejected" | "Unknown" | "Answered"

/**
 * Schema of {@link Delivery}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Delivery = Schema.Literals(["NotSent", "Rejected", "Unknown", "Answered"])

/**
 * What a failure says about the health of a server: it responded (`alive`), its channel failed (`failed`), or nothing was sent to it
 * (`untouched`).
 *
 * @category models
 * @since 0.1.0
 */
export type HealthSign = "alive" | "failed" | "untouched"

interface Traits {
  /** How far the request got. */
  readonly delivery: Delivery
  /** Whether another attempt may succeed, leaving aside whether that is safe. */
  readonly isRetryable: boolean
  /** Whether the connection is gone, so that the next request needs another one. */
  readonly losesConnection: boolean
  /** What the failure says about the health of the server. */
  readonly health: HealthSign
}

const cause = Schema.optional(Schema.Defect())
const stderrTail = Schema.optional(Schema.String)
const body = Schema.optional(Schema.String)

/** A time as ISO 8601 text. A number beyond what a date can hold stays a number: a message must not throw. */
const timeOf = (milliseconds: number): string =>
  Option.match(DateTime.make(milliseconds), { onNone: () => `${milliseconds} ms`, onSome: DateTime.formatIso })

const withTail = (text: string, tail: string | undefined): string =>
  tail === undefined || tail === "" ? text : `${text}\n${tail.trimEnd()}`

/** Appends what the server said. */
const withBody = (text: string, body: string | undefined): string =>
  body === undefined || body === "" ? text : `${text}: ${body}`

/**
 * The process of a stdio server could not be started. `code` is the error code of the system, such as `ENOENT`. `cwd` is set if the
 * working directory does not exist.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SpawnFailed extends Schema.TaggedError<SpawnFailed>("@mcp-sessions/core/SpawnFailed")("SpawnFailed", {
  command: Schema.String,
  code: Schema.String,
  cwd: Schema.optional(Schema.String),
  cause
}) implements Traits {
  readonly delivery = "NotSent"
  readonly losesConnection = true
  readonly health = "failed"
  /** A lack of processes or descriptors may pass; a missing command does not appear by itself. */
  get isRetryable(): boolean {
    return ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"].includes(this.code)
  }
  override get message(): string {
    const where = this.cwd === undefined ? "" : ` in ${JSON.stringify(this.cwd)}, which is not a directory`
    const advice = this.code !== "ENOENT" || this.cwd !== undefined
      ? ""
      : /[\\/]/.test(this.command)
      ? "; there is no such program"
      : "; the command must be installed and on PATH"
    return `cannot start ${JSON.stringify(this.command)}${where} (${this.code})${advice}`
  }
}

/**
 * The process of a stdio server exited. `stderrTail` is the end of its stderr.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ServerExited extends Schema.TaggedError<ServerExited>("@mcp-sessions/core/ServerExited")("ServerExited", {
  exitCode: Schema.NullOr(Schema.Finite),
  signal: Schema.NullOr(Schema.String),
  stderrTail,
  delivery: Delivery
}) implements Traits {
  readonly losesConnection = true
  readonly health = "failed"
  /** A server that exits before it is ready will exit again; one that exits during a request may not. */
  get isRetryable(): boolean {
    return this.delivery === "Unknown"
  }
  override get message(): string {
    const how = this.signal === null ? `with code ${this.exitCode ?? "unknown"}` : `on ${this.signal}`
    return withTail(`the server exited ${how}`, this.stderrTail)
  }
}

/** Codes of certificates that no authority vouches for that is trusted here. */
const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/**
 * The server could not be reached: connection refused, host not found, network unreachable. `code` is the error code of the system.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ConnectionRefused
  extends Schema.TaggedError<ConnectionRefused>("@mcp-sessions/core/ConnectionRefused")("ConnectionRefused", {
    address: Schema.String,
    code: Schema.String,
    cause
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = true
  readonly losesConnection = false
  readonly health = "failed"
  override get message(): string {
    const advice = untrusted.has(this.code) ? "; tls.ca can name the certificate authority to trust" : ""
    return `cannot reach ${this.address} (${this.code})${advice}`
  }
}

/**
 * The proxy of the connection cannot be used. `proxy` is its scheme, host and port, or the variable that does not name a proxy. `code` is
 * the error code of the system, and `status` the HTTP status with which the proxy refused: 407 if it wants other credentials. `delivery` is
 * `Rejected` if the proxy refused a request that it was to forward, otherwise `NotSent`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ProxyFailed extends Schema.TaggedError<ProxyFailed>("@mcp-sessions/core/ProxyFailed")("ProxyFailed", {
  proxy: Schema.String,
  code: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Finite),
  delivery: Schema.Literals(["NotSent", "Rejected"]),
  cause
}) implements Traits {
  readonly losesConnection = false
  /** A refusal other than a failure of the proxy itself, and a setting that is no proxy, stay as they are. */
  get isRetryable(): boolean {
    return this.status === undefined ? this.code !== "ERR_INVALID_URL" : this.status >= 500
  }
  get health(): HealthSign {
    return this.isRetryable ? "failed" : "untouched"
  }
  override get message(): string {
    if (this.code === "ERR_INVALID_URL") return `${this.proxy} is not the http:// or https:// URL of a proxy`
    if (this.status === undefined) return `no connection through the proxy ${this.proxy} (${this.code ?? "unknown"})`
    return this.status === 407
      ? `the proxy ${this.proxy} requires other credentials (HTTP 407)`
      : `the proxy ${this.proxy} refused the connection (HTTP ${this.status})`
  }
}

/**
 * A certificate or a key of the definition cannot be used. `key` is that of the definition, such as `tls.ca`; `path` is the file of a
 * certificate. `code` is the error code of the system or of OpenSSL, or `ERR_NO_CERTIFICATE`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TlsFailed extends Schema.TaggedError<TlsFailed>("@mcp-sessions/core/TlsFailed")("TlsFailed", {
  key: Schema.String,
  path: Schema.optional(Schema.String),
  code: Schema.String
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return `cannot use ${this.key}${this.path === undefined ? "" : ` from ${JSON.stringify(this.path)}`} (${this.code})`
  }
}

/**
 * The connect did not complete within the connect timeout. `timeout` in milliseconds. `pending` says how far the server came, such as that its
 * command has written nothing to stdout.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ConnectTimeout
  extends Schema.TaggedError<ConnectTimeout>("@mcp-sessions/core/ConnectTimeout")("ConnectTimeout", {
    timeout: Schema.Finite,
    pending: Schema.optional(Schema.String),
    stderrTail
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = true
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    const pending = this.pending === undefined ? "" : `: ${this.pending}`
    return withTail(`not connected within ${this.timeout} ms${pending}`, this.stderrTail)
  }
}

/**
 * The definition admits only public addresses (`addresses: "public"`), and the host of the URL, or an `address` that it resolves to, is
 * not public.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BlockedAddress
  extends Schema.TaggedError<BlockedAddress>("@mcp-sessions/core/BlockedAddress")("BlockedAddress", {
    host: Schema.String,
    address: Schema.optional(Schema.String)
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return this.address === undefined
      ? `${this.host} is not a public address`
      : `${this.host} is at ${this.address}, which is not a public address`
  }
}

/**
 * The channel failed during a request or a connect: reset, broken, unreadable. `code` is the error code of the system, if there is one.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TransportFailed
  extends Schema.TaggedError<TransportFailed>("@mcp-sessions/core/TransportFailed")("TransportFailed", {
    description: Schema.String,
    code: Schema.optional(Schema.String),
    delivery: Delivery,
    cause
  })
  implements Traits
{
  readonly isRetryable = true
  readonly losesConnection = false
  readonly health = "failed"
  override get message(): string {
    return this.code === undefined ? this.description : `${this.description} (${this.code})`
  }
}

/**
 * The peer closed the channel, or the request was made on a closed channel.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TransportClosed
  extends Schema.TaggedError<TransportClosed>("@mcp-sessions/core/TransportClosed")("TransportClosed", {
    delivery: Delivery
  })
  implements Traits
{
  readonly isRetryable = true
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return "the connection was closed"
  }
}

/**
 * The response stream ended without the response.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
 * @category reasons
 * @since 0.1.0
 */
export class ResponseLost extends Schema.TaggedError<ResponseLost>("@mcp-sessions/core/ResponseLost")("ResponseLost", {
  method: Schema.String
}) implements Traits {
  readonly delivery = "Unknown"
  readonly isRetryable = true
  readonly losesConnection = false
  readonly health = "failed"
  override get message(): string {
    return `the response stream of ${this.method} ended without the response`
  }
}

/**
 * The server responded with an HTTP status other than success. `retryAfter` is the `Retry-After` header, verbatim. `body` is the
 * beginning of the response on one line, secrets removed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class HttpFailed extends Schema.TaggedError<HttpFailed>("@mcp-sessions/core/HttpFailed")("HttpFailed", {
  status: Schema.Finite,
  retryAfter: Schema.optional(Schema.String),
  body,
  delivery: Delivery
}) implements Traits {
  readonly losesConnection = false
  get isRetryable(): boolean {
    return this.status === 429 || this.status >= 500
  }
  get health(): HealthSign {
    return this.status >= 500 ? "failed" : "alive"
  }
  override get message(): string {
    return withBody(`the server responded with HTTP ${this.status}`, this.body)
  }
}

/**
 * The server no longer knows the session: it said so with 404, or it refused a ping on the session as it refused the request. The next
 * request goes to a new session. `body` is the beginning of the response on one line, secrets removed.
 *
 * `delivery` is `Rejected` if the request was refused for its session alone. Then it is sent again on the new session at once, so this error
 * surfaces only if that session is lost too. It is `Unknown` if the request may have run before the session was lost: the server failed
 * (5xx), or refused the ping in other words than the request.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 * @category reasons
 * @since 0.1.0
 */
export class SessionExpired
  extends Schema.TaggedError<SessionExpired>("@mcp-sessions/core/SessionExpired")("SessionExpired", {
    status: Schema.Finite,
    body,
    delivery: Schema.Literals(["Rejected", "Unknown"])
  })
  implements Traits
{
  readonly losesConnection = true
  /** A request that was refused is sent again on a new session without a policy. One that may have run needs a policy. */
  get isRetryable(): boolean {
    return this.delivery === "Unknown"
  }
  get health(): HealthSign {
    return this.status >= 500 ? "failed" : "alive"
  }
  override get message(): string {
    return withBody(`the server no longer knows the session (HTTP ${this.status})`, this.body)
  }
}

/**
 * The server requires credentials (401), or refuses those that it got (403). `url` is the page where a user can sign in, if that is known;
 * `description` says why a sign-in failed, if one was tried. `body` is the beginning of the response on one line, secrets removed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AuthRequired extends Schema.TaggedError<AuthRequired>("@mcp-sessions/core/AuthRequired")("AuthRequired", {
  status: Schema.Finite,
  url: Schema.optionalKey(Schema.String),
  description: Schema.optionalKey(Schema.String),
  body
}) implements Traits {
  readonly delivery = "Rejected"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    const refusal = this.status === 403
      ? "the server forbids access (HTTP 403)"
      : "the server requires authorization (HTTP 401)"
    const reason = withBody(this.description === undefined ? refusal : `${refusal}: ${this.description}`, this.body)
    return this.url === undefined ? reason : `${reason}; sign in at ${this.url}`
  }
}

/**
 * The server requires authorization, and its authorization server did not give a token: it cannot be reached (`isRetryable`), or answers what
 * it must not. `url` and `status` are those of the response that decided, where there was one. The tokens that there are were kept. `delivery`
 * is `Rejected` if the request was refused for lack of a token, and `NotSent` if it waited for one.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AuthorizationFailed
  extends Schema.TaggedError<AuthorizationFailed>("@mcp-sessions/core/AuthorizationFailed")("AuthorizationFailed", {
    description: Schema.String,
    url: Schema.optionalKey(Schema.String),
    status: Schema.optionalKey(Schema.Finite),
    isRetryable: Schema.Boolean,
    delivery: Schema.Literals(["NotSent", "Rejected"]),
    cause
  })
  implements Traits
{
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    const status = this.status === undefined ? "" : ` (HTTP ${this.status})`
    return `the authorization failed: ${this.description}${this.url === undefined ? "" : ` at ${this.url}`}${status}`
  }
}

/**
 * The handshake failed: there is no common protocol revision, or the response is invalid.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
 * @category reasons
 * @since 0.1.0
 */
export class HandshakeFailed
  extends Schema.TaggedError<HandshakeFailed>("@mcp-sessions/core/HandshakeFailed")("HandshakeFailed", {
    description: Schema.String,
    stderrTail,
    cause
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return withTail(this.description, this.stderrTail)
  }
}

/**
 * The server responded to the handshake with an unknown protocol revision, or with one that `initialize` does not support.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#version-negotiation
 * @category reasons
 * @since 0.1.0
 */
export class ProtocolMismatch
  extends Schema.TaggedError<ProtocolMismatch>("@mcp-sessions/core/ProtocolMismatch")("ProtocolMismatch", {
    /** The revision that the server chose. */
    revision: Schema.String,
    /** The revisions that a handshake can end with. */
    supported: Schema.Array(Schema.String)
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return `the server chose revision ${JSON.stringify(this.revision)}, expected one of ${this.supported.join(", ")}`
  }
}

/**
 * The request got no response in time. The server was told to cancel it. `timeout` in milliseconds.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RequestTimeout
  extends Schema.TaggedError<RequestTimeout>("@mcp-sessions/core/RequestTimeout")("RequestTimeout", {
    method: Schema.String,
    timeout: Schema.Finite,
    delivery: Delivery
  })
  implements Traits
{
  readonly isRetryable = true
  readonly losesConnection = false
  readonly health = "failed"
  override get message(): string {
    return `${this.method} got no response within ${this.timeout} ms`
  }
}

/** Codes of JSON-RPC errors that are sent before anything runs: parse error, unknown method. (Servers use -32600 for other errors too.) */
const refusals = new Set([-32700, -32601])

/**
 * Whether a JSON-RPC error refuses the protocol revision of the request: the server lists the revisions that it supports, and has not run
 * anything. The list is looked at because servers of older revisions may use the code for something else.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/lifecycle
 */
const refusesRevision = (code: number, data: unknown): boolean => {
  if (code !== -32022 || typeof data !== "object" || data === null || !("supported" in data)) return false
  const { supported } = data
  return Array.isArray(supported) && supported.length > 0 && supported.every((revision) => typeof revision === "string")
}

/**
 * The server responded with a JSON-RPC error: unknown tool, invalid arguments, internal error.
 *
 * An error that refuses the protocol revision (-32022) loses the connection: the request is sent again on a new one, which negotiates anew.
 * `isOtherEra` is set if the server turned out to be of another protocol era than the connection, which loses the connection too. `isOutcome` is
 * set if a task of the server failed with the error: the request was accepted before, so that no code says that it did not run.
 *
 * @see https://www.jsonrpc.org/specification#error_object
 * @category reasons
 * @since 0.1.0
 */
export class ProtocolFailed
  extends Schema.TaggedError<ProtocolFailed>("@mcp-sessions/core/ProtocolFailed")("ProtocolFailed", {
    method: Schema.String,
    code: Schema.Finite,
    description: Schema.String,
    data: Schema.optional(Schema.Unknown),
    isOtherEra: Schema.optional(Schema.Boolean),
    isOutcome: Schema.optional(Schema.Boolean)
  })
  implements Traits
{
  readonly isRetryable = false
  readonly health = "alive"
  get losesConnection(): boolean {
    return this.isOtherEra === true || (this.isOutcome !== true && refusesRevision(this.code, this.data))
  }
  get delivery(): Delivery {
    if (this.isOutcome === true) return "Answered"
    return refusals.has(this.code) || refusesRevision(this.code, this.data) ? "Rejected" : "Answered"
  }
  override get message(): string {
    return `${this.description} (code ${this.code})`
  }
}

/**
 * The response violates the protocol or the output schema of the tool.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidResult
  extends Schema.TaggedError<InvalidResult>("@mcp-sessions/core/InvalidResult")("InvalidResult", {
    method: Schema.String,
    description: Schema.String,
    cause
  })
  implements Traits
{
  readonly delivery = "Answered"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    return this.description
  }
}

/** The result of a tool. Programs read it with the functions of `Mcp`, which take what servers send. */
const toolResult = Schema.Record(Schema.String, Schema.Unknown) as unknown as Schema.Codec<
  CallToolResult,
  Readonly<Record<string, unknown>>
>

/**
 * The tool reported that it failed (`isError: true`), and the caller asked for a decoded result. `result` is all that the tool returned.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling
 * @category reasons
 * @since 0.1.0
 */
export class ToolFailed extends Schema.TaggedError<ToolFailed>("@mcp-sessions/core/ToolFailed")("ToolFailed", {
  tool: Schema.String,
  result: toolResult
}) implements Traits {
  readonly delivery = "Answered"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    const said = text(this.result)
    return said === "" ? `${this.tool} failed and did not say why` : said
  }
}

/**
 * The server reports that the task of a tool call was cancelled, which this client did not ask for. What the tool did before is not known; it is not
 * called again.
 *
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 * @category reasons
 * @since 0.1.0
 */
export class TaskCancelled
  extends Schema.TaggedError<TaskCancelled>("@mcp-sessions/core/TaskCancelled")("TaskCancelled", {
    tool: Schema.String
  })
  implements Traits
{
  readonly delivery = "Answered"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    return `the server cancelled the task of ${this.tool}`
  }
}

/**
 * A message exceeded the size limit of the connection, which closes the connection. `limit` in bytes.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MessageTooLarge
  extends Schema.TaggedError<MessageTooLarge>("@mcp-sessions/core/MessageTooLarge")("MessageTooLarge", {
    limit: Schema.Finite,
    delivery: Delivery
  })
  implements Traits
{
  readonly isRetryable = false
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return `the server sent a message of more than ${this.limit} bytes`
  }
}

/**
 * A list has more pages or items than the limits allow, or repeats a page.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PaginationExceeded
  extends Schema.TaggedError<PaginationExceeded>("@mcp-sessions/core/PaginationExceeded")("PaginationExceeded", {
    method: Schema.String,
    limit: Schema.String
  })
  implements Traits
{
  readonly delivery = "Answered"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    return `${this.method} did not end: ${this.limit}`
  }
}

/**
 * The server, or the negotiated protocol revision, does not support the operation. Nothing was sent.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unsupported extends Schema.TaggedError<Unsupported>("@mcp-sessions/core/Unsupported")("Unsupported", {
  method: Schema.String,
  description: Schema.String
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return this.description
  }
}

/**
 * The scope of the session has closed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SessionClosed
  extends Schema.TaggedError<SessionClosed>("@mcp-sessions/core/SessionClosed")("SessionClosed", {})
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return "the session is closed"
  }
}

/**
 * The server is not called until `retryAt` (milliseconds since the epoch), after consecutive failures or too many starts. Then the server is
 * probed in the background, or the next call is an attempt.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ServerDown extends Schema.TaggedError<ServerDown>("@mcp-sessions/core/ServerDown")("ServerDown", {
  retryAt: Schema.Finite
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return `the server is down; next attempt at ${timeOf(this.retryAt)}`
  }
}

/**
 * The server is not called until the program readmits it (`Sessions.readmit`): it was ejected with `Sessions.eject`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ServerEjected
  extends Schema.TaggedError<ServerEjected>("@mcp-sessions/core/ServerEjected")("ServerEjected", {})
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return "the server is ejected until it is readmitted"
  }
}

/**
 * The queue of the session is full. `limit` is its size (`maxQueued` of the server), `inFlight` the number of requests in flight on the
 * session. The program sends more than the server answers. `unread` is set where the server does not read what is written to it: then so
 * many characters of `inFlight` messages wait to be written, and `limit` is how many characters may wait.
 *
 * @category reasons
 * @since 0.1.0
 */
export class QueueFull extends Schema.TaggedError<QueueFull>("@mcp-sessions/core/QueueFull")("QueueFull", {
  limit: Schema.Finite,
  inFlight: Schema.Finite,
  unread: Schema.optional(Schema.Finite)
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    if (this.unread !== undefined) {
      return `the server does not read: ${this.inFlight} messages of ${this.unread} characters wait, and the limit is ${this.limit}`
    }
    return `${this.inFlight} requests are in flight and ${this.limit} are waiting, which is the limit`
  }
}

/**
 * The rate limit does not admit the request before `retryAt` (milliseconds since the epoch), which is after its timeout. The rate is that
 * of the definition (`rateLimit`), or the one that the server asked for with HTTP 429.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("@mcp-sessions/core/RateLimited")("RateLimited", {
  retryAt: Schema.Finite
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return `the rate limit admits no request before ${timeOf(this.retryAt)}`
  }
}

/**
 * The credentials of an owner are not available. `cause` is the failure of their provider; it should hold no secret.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CredentialsFailed
  extends Schema.TaggedError<CredentialsFailed>("@mcp-sessions/core/CredentialsFailed")("CredentialsFailed", {
    owner: Schema.String,
    cause
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return `the credentials of ${JSON.stringify(this.owner)} are not available`
  }
}

/**
 * The caller gave up the operation: the signal of a promise was aborted. `cause` is the reason of the signal. `delivery` is
 * `NotSent` if no request of the operation was written, otherwise `Unknown`; then the server was told to cancel.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Cancelled extends Schema.TaggedError<Cancelled>("@mcp-sessions/core/Cancelled")("Cancelled", {
  delivery: Schema.Literals(["NotSent", "Unknown"]),
  cause
}) implements Traits {
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return this.delivery === "NotSent" ? "cancelled before a request was sent" : "cancelled; it may have run"
  }
}

const lostReasons = [
  ServerExited,
  TransportFailed,
  TransportClosed,
  ResponseLost,
  HttpFailed,
  SessionExpired,
  RequestTimeout,
  MessageTooLarge
] as const

/**
 * A tool call was written and got no response, so the tool may have run. The call is not sent again, because the tool must not run twice.
 * Mark the call `idempotent` if running the tool twice is harmless.
 *
 * @category reasons
 * @since 0.1.0
 */
export class OutcomeUnknown
  extends Schema.TaggedError<OutcomeUnknown>("@mcp-sessions/core/OutcomeUnknown")("OutcomeUnknown", {
    method: Schema.String,
    tool: Schema.optional(Schema.String),
    /** The JSON-RPC id of the request, to find it in the logs of the server. */
    requestId: Schema.optional(Schema.Union([Schema.String, Schema.Finite])),
    /** When the call was sent, in milliseconds since the epoch. */
    sentAt: Schema.Finite,
    /** Why there is no response. */
    lost: Schema.Union(lostReasons)
  })
  implements Traits
{
  readonly delivery = "Unknown"
  readonly isRetryable = false
  get losesConnection(): boolean {
    return this.lost.losesConnection
  }
  get health(): HealthSign {
    return this.lost.health
  }
  override get message(): string {
    return `${this.tool ?? this.method} may or may not have run: ${this.lost.message}`
  }
}

/**
 * A reason without the output of the process and the responses that it came from, to show to other owners. `undefined` if nothing of
 * it may be shown.
 *
 * @internal
 */
export const forOthers = (reason: Reason): Reason | undefined => {
  switch (reason._tag) {
    case "CredentialsFailed":
      return undefined
    case "ServerExited": {
      const { delivery, exitCode, signal } = reason
      return new ServerExited({ delivery, exitCode, signal })
    }
    case "ConnectTimeout":
      return new ConnectTimeout({ timeout: reason.timeout })
    case "HandshakeFailed":
      return new HandshakeFailed({ description: reason.description })
    case "HttpFailed": {
      const { delivery, retryAfter, status } = reason
      return new HttpFailed({ status, retryAfter, delivery })
    }
    case "SessionExpired":
      return new SessionExpired({ status: reason.status, delivery: reason.delivery })
    case "AuthRequired":
      return new AuthRequired({ status: reason.status })
    default:
      return reason
  }
}

const reasons = [
  SpawnFailed,
  ServerExited,
  ConnectionRefused,
  ProxyFailed,
  TlsFailed,
  BlockedAddress,
  ConnectTimeout,
  TransportFailed,
  TransportClosed,
  ResponseLost,
  HttpFailed,
  SessionExpired,
  AuthRequired,
  AuthorizationFailed,
  HandshakeFailed,
  ProtocolMismatch,
  RequestTimeout,
  ProtocolFailed,
  InvalidResult,
  ToolFailed,
  TaskCancelled,
  MessageTooLarge,
  PaginationExceeded,
  Unsupported,
  SessionClosed,
  ServerDown,
  ServerEjected,
  QueueFull,
  RateLimited,
  CredentialsFailed,
  Cancelled,
  OutcomeUnknown
] as const

/**
 * All reasons for which session operations fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = InstanceType<(typeof reasons)[number]>

const closeReasons = [ServerExited, TransportFailed, TransportClosed, MessageTooLarge] as const

/**
 * Ends a connection that was open, before or after its handshake. Its delivery follows from the request that it ends: `NotSent` if
 * nothing of the request was written, otherwise `Unknown`.
 *
 * @category models
 * @since 0.1.0
 */
export type CloseReason = InstanceType<(typeof closeReasons)[number]>

/**
 * Schema of {@link CloseReason}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CloseReason = Schema.Union(closeReasons)

const connectReasons = [
  ...closeReasons,
  SpawnFailed,
  ConnectionRefused,
  ProxyFailed,
  TlsFailed,
  BlockedAddress,
  ConnectTimeout,
  HttpFailed,
  AuthRequired,
  AuthorizationFailed,
  HandshakeFailed,
  ProtocolMismatch,
  CredentialsFailed
] as const

/**
 * Everything that a connect fails with, the handshake included.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectReason = InstanceType<(typeof connectReasons)[number]>

/**
 * Schema of {@link ConnectReason}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ConnectReason = Schema.Union(connectReasons)

const requestReasons = [
  ...closeReasons,
  ConnectionRefused,
  ProxyFailed,
  TlsFailed,
  BlockedAddress,
  ResponseLost,
  HttpFailed,
  SessionExpired,
  AuthRequired,
  AuthorizationFailed,
  RequestTimeout,
  ProtocolFailed,
  InvalidResult,
  PaginationExceeded,
  QueueFull,
  Unsupported
] as const

/**
 * Everything that a request on an initialized connection fails with. A request over HTTP may dial, so {@link ConnectionRefused},
 * {@link ProxyFailed}, {@link TlsFailed} and {@link BlockedAddress} are among them.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestReason = InstanceType<(typeof requestReasons)[number]>

/**
 * Schema of {@link RequestReason}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RequestReason = Schema.Union(requestReasons)

/**
 * Schema of {@link Reason}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason = Schema.Union(reasons)

/**
 * A {@link Reason} that can be the cause of an {@link OutcomeUnknown}.
 *
 * @category models
 * @since 0.1.0
 */
export type LostReason = InstanceType<(typeof lostReasons)[number]>

/**
 * Error of session operations. Recover from single reasons with `Effect.catchReason("SessionError", …)`.
 *
 * **Example** (Recovering from one reason)
 *
 * ```ts import.meta.vitest
 * import { SessionError } from "@mcp-sessions/core"
 * import { Effect } from "effect"
 *
 * const call = Effect.fail(new SessionError.SessionError({
 *   server: "files",
 *   reason: new SessionError.SpawnFailed({ command: "mcp-files", code: "ENOENT" })
 * }))
 * const recovered = call.pipe(Effect.catchReason("SessionError", "SpawnFailed", () => Effect.succeed("install it first")))
 * await Effect.runPromise(recovered) // => "install it first"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionError extends Schema.TaggedError<SessionError>("@mcp-sessions/core/SessionError")("SessionError", {
  server: Schema.String,
  reason: Reason
}) {
  /** How far the request got. */
  get delivery(): Delivery {
    return this.reason.delivery
  }
  /** Whether the same operation may succeed when tried again, leaving aside whether that is safe. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  override get message(): string {
    return `${this.server}: ${this.reason.message}`
  }
}
