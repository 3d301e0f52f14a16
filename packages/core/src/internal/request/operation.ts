/**
 * Operations: what a session asks of a server, as data.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { ConnectionInfo } from "../../Connection.ts"
import type { Progress } from "../../Mcp.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Reason } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"

/**
 * The kind of an operation decides what may happen after a failure. A read may be repeated. A tool call may be repeated only if it is
 * idempotent: as the caller says, or where the caller does not, as `isIdempotent` finds out after a failure. A probe is a read that counts
 * as no operation of the program.
 */
export type Kind = { readonly _tag: "Read" } | ToolCall | { readonly _tag: "Probe" }

export interface ToolCall {
  readonly _tag: "ToolCall"
  readonly tool: string
  readonly isIdempotent: Effect.Effect<boolean>
}

export const read: Kind = { _tag: "Read" }
export const probe: Kind = { _tag: "Probe" }

/** What operations of both forms have in common. */
interface Base {
  readonly kind: Kind
  /** The method in errors and spans. */
  readonly method: string
  /** Whether the operation is a part of another, which alone is counted. */
  readonly isPart?: boolean | undefined
  /** How long each attempt may take, in milliseconds; by default `requestTimeout` of the server. */
  readonly timeout?: number | undefined
  /**
   * Whether the response may take as long as a person takes to answer a question. Then no timeout ends the request, neither of an attempt nor of
   * all attempts, and it holds no permits while it is in flight. Its caller checks that the server still works on it.
   */
  readonly isOpenEnded?: boolean | undefined
  /** When a failed attempt is repeated, where that is safe; by default the policy of the session. */
  readonly retry?: RetryPolicy | undefined
}

/** An operation that is one request. */
export interface RequestOperation<A> extends Base {
  readonly params: Record<string, unknown> | undefined
  /** The method on the wire, where it depends on the connection. */
  readonly wireMethod?: ((info: ConnectionInfo) => string) | undefined
  /** The params on the wire, where they depend on the connection. */
  readonly wireParams?: ((info: ConnectionInfo) => Record<string, unknown>) | undefined
  /** Receives progress. Each report restarts the timeout of the attempt. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Receives the JSON-RPC id of each attempt, once it is sent. */
  readonly onSent?: ((id: string | number) => void) | undefined
  /** The reason why the server cannot be asked, if it cannot. */
  readonly refuse?: ((info: ConnectionInfo) => Reason | undefined) | undefined
  /** Checks the outer shape of a result. What it is may depend on the connection. */
  readonly decode: (result: unknown, info: ConnectionInfo | undefined) => Exit.Exit<A, Reason>
  /** Turns failures into results. */
  readonly recover?: ((reason: Reason) => Exit.Exit<A, Reason> | undefined) | undefined
}

/** An operation of several requests on one connection, such as the pages of a list. */
export interface CompositeOperation<A> extends Base {
  readonly run: (live: LiveConnection, info: ConnectionInfo) => Effect.Effect<A, Reason>
}

export type Operation<A> = RequestOperation<A> | CompositeOperation<A>

export const isComposite = <A>(operation: Operation<A>): operation is CompositeOperation<A> => "run" in operation
