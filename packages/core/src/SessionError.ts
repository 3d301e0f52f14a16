/**
 * The one error of session operations: a {@link SessionError} names the server and carries a `reason` from a closed union.
 *
 * A reason answers four questions without anyone reading its text: may trying again help (`isRetryable`), did the request
 * run (`delivery`), is the connection gone (`losesConnection`), and what does it say of the server (`health`).
 *
 * **Gotchas**
 *
 * A tool that answers `isError: true` is no failure: the result is returned. An unknown tool is a `ProtocolFailed`, or such
 * a result: servers differ.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

/**
 * How far a failed request got.
 *
 * - `NotSent`: it never left. Sending it again cannot run it twice.
 * - `Rejected`: the server refused it before running it. The same holds.
 * - `Unknown`: it left and no answer came. It may have run.
 * - `Answered`: the server answered. It has run as far as it ever will.
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
 * What a failure says of the server: it answered (`alive`), its channel failed (`failed`), or it was never asked
 * (`untouched`).
 *
 * @category models
 * @since 0.1.0
 */
export type HealthSign = "alive" | "failed" | "untouched"

interface Traits {
  readonly delivery: Delivery
  readonly isRetryable: boolean
  readonly losesConnection: boolean
  readonly health: HealthSign
}

const cause = Schema.optional(Schema.Defect())
const stderrTail = Schema.optional(Schema.String)

const withTail = (text: string, tail: string | undefined): string =>
  tail === undefined || tail === "" ? text : `${text}\n${tail.trimEnd()}`

/**
 * The process of a stdio server could not be started. `code` is the system's error code, such as `ENOENT`. `cwd` is there
 * if the working directory is what does not exist.
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
  /** A system short of processes or descriptors may have some again soon; a command that is not there stays away. */
  get isRetryable(): boolean {
    return ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"].includes(this.code)
  }
  override get message(): string {
    const where = this.cwd === undefined ? "" : ` in ${JSON.stringify(this.cwd)}, which is no directory`
    return `cannot start ${JSON.stringify(this.command)}${where} (${this.code})`
  }
}

/**
 * The process of a stdio server ended on its own, with the tail of what it wrote to stderr.
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
  /** A server that exits before it is ready does so again; one that exits under a request may have been unlucky. */
  get isRetryable(): boolean {
    return this.delivery === "Unknown"
  }
  override get message(): string {
    const how = this.signal === null ? `with code ${this.exitCode ?? "unknown"}` : `on ${this.signal}`
    return withTail(`the server exited ${how}`, this.stderrTail)
  }
}

/**
 * No connection could be made: refused, host not found, network unreachable. `code` is the system's error code.
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
    return `cannot reach ${this.address} (${this.code})`
  }
}

/**
 * The server was not ready for requests by the connect deadline. `timeout` in milliseconds.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ConnectTimeout
  extends Schema.TaggedError<ConnectTimeout>("@mcp-sessions/core/ConnectTimeout")("ConnectTimeout", {
    timeout: Schema.Finite,
    stderrTail
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = true
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return withTail(`not connected within ${this.timeout} ms`, this.stderrTail)
  }
}

/**
 * The definition lets its server be at public addresses only (`addresses: "public"`), and this is none: the host of its URL, or
 * an `address` that it resolves to.
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
 * The channel failed under a request or a connect: reset, broken, unreadable. `code` is the system's error code if any.
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
 * The peer closed the channel, or a request met a channel that was closed already.
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
 * The stream that was to carry the answer ended without it.
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
 * The server's HTTP side answered with another status than success. `retryAfter` is the header of that name, verbatim.
 *
 * @category reasons
 * @since 0.1.0
 */
export class HttpFailed extends Schema.TaggedError<HttpFailed>("@mcp-sessions/core/HttpFailed")("HttpFailed", {
  status: Schema.Finite,
  retryAfter: Schema.optional(Schema.String),
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
    return `the server answered HTTP ${this.status}`
  }
}

/**
 * The server no longer knows the session. A new one is initialized at once and the request sent again, so this surfaces
 * only when the new session is lost too.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 * @category reasons
 * @since 0.1.0
 */
export class SessionExpired
  extends Schema.TaggedError<SessionExpired>("@mcp-sessions/core/SessionExpired")("SessionExpired", {
    status: Schema.Finite
  })
  implements Traits
{
  readonly delivery = "Rejected"
  readonly isRetryable = false
  readonly losesConnection = true
  readonly health = "alive"
  override get message(): string {
    return `the server does not know the session any more (HTTP ${this.status})`
  }
}

/**
 * The server wants credentials, or other ones. `status` is 401 or 403.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AuthRequired extends Schema.TaggedError<AuthRequired>("@mcp-sessions/core/AuthRequired")("AuthRequired", {
  status: Schema.Finite
}) implements Traits {
  readonly delivery = "Rejected"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  override get message(): string {
    return this.status === 403 ? "the server forbids access (HTTP 403)" : "the server requires authorization (HTTP 401)"
  }
}

/**
 * The peers did not agree: no common protocol revision, or an answer to the handshake that makes no sense.
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
 * The server answered the handshake with a revision of the protocol that is none, or none that a handshake ends with.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#version-negotiation
 * @category reasons
 * @since 0.1.0
 */
export class ProtocolMismatch
  extends Schema.TaggedError<ProtocolMismatch>("@mcp-sessions/core/ProtocolMismatch")("ProtocolMismatch", {
    /** What the server wants to speak. */
    revision: Schema.String,
    /** What it could have answered. */
    supported: Schema.Array(Schema.String)
  })
  implements Traits
{
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = true
  readonly health = "failed"
  override get message(): string {
    return `the server wants to speak revision ${JSON.stringify(this.revision)}, expected one of ${
      this.supported.join(", ")
    }`
  }
}

/**
 * No answer came in time. The server was told that nobody waits any more. `timeout` in milliseconds.
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
    return `${this.method} was not answered within ${this.timeout} ms`
  }
}

/** JSON-RPC errors that come before anything runs: not JSON, no such method. (Servers use -32600 for much else.) */
const refusals = new Set([-32700, -32601])

/**
 * The server answered with a JSON-RPC error: unknown tool, bad arguments, internal error.
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
    data: Schema.optional(Schema.Unknown)
  })
  implements Traits
{
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "alive"
  get delivery(): Delivery {
    return refusals.has(this.code) ? "Rejected" : "Answered"
  }
  override get message(): string {
    return `${this.description} (code ${this.code})`
  }
}

/**
 * The answer is not what the protocol, or the tool's own output schema, promises.
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

/**
 * A message exceeded the byte limit of the connection, which is closed for it. `limit` in bytes.
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
 * A list went over more pages or items than a well-meaning server has, or came round to the same page again.
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
 * The negotiated protocol revision, or the server, lacks what was asked for. Nothing was sent.
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
 * An operation on a session whose scope has closed.
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
 * The server is left alone until `retryAt` (milliseconds since the epoch), after failures in a row or too many starts. It heals
 * by itself: from then on it is tried again.
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
    return `the server is down, and tried again at ${DateTime.formatIso(DateTime.makeUnsafe(this.retryAt))}`
  }
}

/**
 * As many requests as may wait for their turn at the server do so already. `limit` is how many that are (`maxQueued` of the
 * server), `inFlight` how many requests are under way on the session. Whoever sees this sends more than the server answers.
 *
 * @category reasons
 * @since 0.1.0
 */
export class QueueFull extends Schema.TaggedError<QueueFull>("@mcp-sessions/core/QueueFull")("QueueFull", {
  limit: Schema.Finite,
  inFlight: Schema.Finite
}) implements Traits {
  readonly delivery = "NotSent"
  readonly isRetryable = false
  readonly losesConnection = false
  readonly health = "untouched"
  override get message(): string {
    return `${this.inFlight} requests are under way, and ${this.limit} wait for their turn already`
  }
}

/**
 * The rate at which the server may be asked leaves this request no time before `retryAt` (milliseconds since the epoch), which
 * is later than it may wait. The rate is that of the definition (`rateLimit`), or what the server asked for with HTTP 429.
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
    return `the server may not be asked again before ${DateTime.formatIso(DateTime.makeUnsafe(this.retryAt))}`
  }
}

/**
 * The credentials of an owner could not be had. `cause` is why, as far as their provider says; it should hold no secret.
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
    return `there are no credentials of ${JSON.stringify(this.owner)}`
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
  RequestTimeout,
  MessageTooLarge
] as const

/**
 * A tool call left and nobody knows whether it ran. It is not sent again: a tool that may have run once must not run
 * twice because of us. Mark the call `idempotent` where a repetition does no harm.
 *
 * @category reasons
 * @since 0.1.0
 */
export class OutcomeUnknown
  extends Schema.TaggedError<OutcomeUnknown>("@mcp-sessions/core/OutcomeUnknown")("OutcomeUnknown", {
    method: Schema.String,
    tool: Schema.optional(Schema.String),
    /** The id of the request on the wire, where it is known (in the legacy era), to look for in the logs of the server. */
    requestId: Schema.optional(Schema.Union([Schema.String, Schema.Finite])),
    /** When the call was sent, in milliseconds since the epoch. */
    sentAt: Schema.Finite,
    /** Why no answer came. */
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
 * A reason as others may know it than those whom it befell: without what their process has written. `undefined` where it is all theirs.
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
    default:
      return reason
  }
}

const reasons = [
  SpawnFailed,
  ServerExited,
  ConnectionRefused,
  BlockedAddress,
  ConnectTimeout,
  TransportFailed,
  TransportClosed,
  ResponseLost,
  HttpFailed,
  SessionExpired,
  AuthRequired,
  HandshakeFailed,
  ProtocolMismatch,
  RequestTimeout,
  ProtocolFailed,
  InvalidResult,
  MessageTooLarge,
  PaginationExceeded,
  Unsupported,
  SessionClosed,
  ServerDown,
  QueueFull,
  RateLimited,
  CredentialsFailed,
  Cancelled,
  OutcomeUnknown
] as const

/**
 * Everything that a session operation fails with.
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
  BlockedAddress,
  ConnectTimeout,
  HttpFailed,
  AuthRequired,
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
  BlockedAddress,
  ResponseLost,
  HttpFailed,
  SessionExpired,
  AuthRequired,
  RequestTimeout,
  ProtocolFailed,
  InvalidResult,
  PaginationExceeded,
  Unsupported
] as const

/**
 * Everything that a request on an initialized connection fails with. A request over HTTP may dial, so {@link ConnectionRefused} and
 * {@link BlockedAddress} are among them.
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
 * A {@link Reason} that can stand behind an {@link OutcomeUnknown}.
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
