/**
 * Port: what one live MCP peer offers.
 *
 * A connection is one channel to one server, from the moment that the channel is open to the moment that it is not. It
 * never reconnects, retries or times out; those are decisions, and decisions are made above it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Implementation, Progress, ServerCapabilities } from "./Mcp.ts"
import type { LogLevel, WireNotification } from "./Notification.ts"
import type { TransportKind } from "./ServerConfig.ts"
import type { Reason } from "./SessionError.ts"

/**
 * The two ways in which MCP peers meet: `legacy` (revisions 2024-11-05 to 2025-11-25: an `initialize` handshake) and
 * `modern` (2026-07-28: `server/discover`, no session).
 *
 * @category models
 * @since 0.1.0
 */
export type Era = "legacy" | "modern"

/**
 * What the handshake told.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionInfo {
  readonly era: Era
  /** The negotiated protocol revision, such as `2025-11-25`. */
  readonly protocolVersion: string
  /** The name that the server gives itself; modern servers may give none. */
  readonly implementation: Implementation | undefined
  readonly capabilities: ServerCapabilities
  readonly instructions: string | undefined
  /** The process of a stdio server, which is also the id of its process group. */
  readonly pid: number | undefined
}

/**
 * What a server of the modern era is to tell of: changes of its lists, and of the resources of these URIs.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenFilter {
  readonly toolsListChanged?: boolean
  readonly promptsListChanged?: boolean
  readonly resourcesListChanged?: boolean
  readonly resourceSubscriptions?: ReadonlyArray<string>
}

/**
 * A server's promise to tell of changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  /** The resources that it agreed to tell of, out of those that were asked for. */
  readonly resources: ReadonlyArray<string>
  /** Completes when something may have gone untold, though the connection may still be there. */
  readonly ended: Effect.Effect<void>
}

/**
 * One live MCP peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  readonly kind: TransportKind | "memory"
  /**
   * The handshake, run once. It succeeds only after a round trip on this very connection. Interrupting it leaves the
   * connection unusable.
   */
  readonly initialize: Effect.Effect<ConnectionInfo, Reason>
  /**
   * Sends a request and waits for its result. Interruption tells the server in the way of the era. With `onProgress`, the
   * server is asked to report, and what it reports before its result is passed on before the result is. `onSent` gets the id of
   * the request on the wire, where that is known.
   */
  readonly request: (options: {
    readonly method: string
    readonly params: Record<string, unknown> | undefined
    readonly onProgress?: ((progress: Progress) => void) | undefined
    readonly onSent?: ((id: string | number) => void) | undefined
  }) => Effect.Effect<unknown, Reason>
  /**
   * Names who is told of notifications, in their order and before the answers that came after them. Progress is no part of
   * it. There is one listener; it may be named before the handshake.
   */
  readonly onNotification: (listener: (notification: WireNotification) => void) => void
  /**
   * Asks a server of the modern era to tell of changes, for as long as the scope is open. Succeeds once it has agreed. Servers
   * of the legacy era tell of their lists unasked: there the filter is empty, and it succeeds once what they say can arrive.
   */
  readonly listen: (filter: ListenFilter) => Effect.Effect<Listening, Reason, Scope.Scope>
  /**
   * Says which log messages are wanted: `level` and above. In the modern era nothing is sent for it: each request says so
   * from then on.
   */
  readonly setLogLevel: (level: LogLevel) => Effect.Effect<void, Reason>
  /** Completes when the channel is gone, with the reason. Never, as long as it is there. */
  readonly closed: Effect.Effect<Reason>
  /** The latest of what a stdio server wrote to stderr, secrets removed; `undefined` where there is no such thing. */
  readonly stderrTail: () => string | undefined
  /** What is not as it should be, though the server can be used; one sentence each. What servers said is quoted in them. */
  readonly warnings: () => ReadonlyArray<string>
}
