/**
 * The handle that users hold: the operations of one MCP server, on whatever connection is live at the moment of each call.
 *
 * **Details**
 *
 * A call goes out on the live connection; where there is none, one is made first. A failed request is sent again only if
 * that cannot run anything twice: it never left, it was rejected before it ran, it is a read, or it is known to be
 * idempotent. Otherwise it fails as `OutcomeUnknown`.
 *
 * **Gotchas**
 *
 * State that a server keeps for a session (subscriptions, a working directory, a transaction) ends with the connection.
 * `generation` counts connections: where it has changed, so has the server's memory.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ConnectionInfo } from "./Connection.ts"
import type { Phase } from "./ConnectionState.ts"
import type {
  CallToolResult,
  Completion,
  CompletionReference,
  GetPromptResult,
  Progress,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplate,
  Task,
  Tool
} from "./Mcp.ts"
import type { Listening, LogLevel, Notification, ResourceUpdated } from "./Notification.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { SessionError } from "./SessionError.ts"

/**
 * What is known of a session at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionInfo extends ConnectionInfo {
  /** The name of the server definition. */
  readonly server: string
  /** The number of the live connection: 1 for the first, one more after each reconnect. */
  readonly generation: number
  /** What is not as it should be, though the server can be used, such as a banner on the stdout of a stdio server. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Options of one request. `timeout` is how long to wait for the answer each time that it is sent; default: `requestTimeout`
 * of the server (60 s). All tries together never take longer than its `totalTimeout`. `retry` is when to try again where that
 * is safe; default: the policy of the sessions. Each server has 10 retries in advance and earns another with every 10
 * successes; beyond that failures are final.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  readonly timeout?: Duration.Input | undefined
  readonly retry?: RetryPolicy | undefined
}

/**
 * Options of a list. A server of the modern era says for how long its lists hold; until then they are remembered for the
 * owner, unless the server says that they have changed, which it does while someone listens or watches. `refresh: true` asks all the same. Legacy servers are always asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListOptions extends RequestOptions {
  readonly refresh?: boolean | undefined
}

/**
 * Options of one request that may take its time. With `onProgress`, the server is asked to report how far it has come; a
 * server may leave that out. Reports are handled one after the other, by an effect or a plain function, and the request
 * ends after the last; of those that wait for a slow handler, the latest 64 are kept. Each report starts `timeout` anew,
 * up to the server's `totalTimeout`. A request that is sent again reports from the beginning.
 *
 * **Example** (Showing how far a call has come)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * let shown = ""
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   yield* sessions.callTool("everything", "trigger-long-running-operation", { duration: 0.2, steps: 2 }, {
 *     onProgress: ({ progress, total }) => Effect.sync(() => shown += `${progress} of ${total}; `)
 *   })
 * })
 * await Effect.runPromise(Effect.provide(program, live))
 * shown // => "1 of 2; 2 of 2; "
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface ProgressOptions extends RequestOptions {
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void> | void) | undefined
}

/**
 * Options of one completion: `context` holds the arguments that are settled already.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompleteOptions extends RequestOptions {
  readonly context?: Readonly<Record<string, string>> | undefined
}

/**
 * Options of one tool call. `task` has the server run it as a task (revision 2025-11-25, for tools whose
 * `execution.taskSupport` allows it): the call outlives all time limits, and the connection where the server keeps its tasks.
 * `ttl` is for how long the server is to keep it, in milliseconds; `onTask` gets how far it is, at first and when that changes.
 * Interrupting the call cancels the task. `idempotent: true` says that running the tool twice does no more than running it once, so
 * that the call may be sent again when its outcome is unknown; default: what the annotations say on a server marked
 * `trusted`, otherwise `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallToolOptions extends ProgressOptions {
  readonly task?: {
    readonly ttl?: number | undefined
    readonly onTask?: ((task: Task) => Effect.Effect<void> | void) | undefined
  } | undefined
  readonly idempotent?: boolean | undefined
}

/**
 * A handle to one MCP server. Valid until the scope closes in which it was obtained; after that everything fails with
 * `SessionClosed`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  /** The name of the server definition. */
  readonly server: string
  /** What the handshake told. Connects if there is no connection. */
  readonly info: Effect.Effect<SessionInfo, SessionError>
  /** The number of the latest connection, 0 before the first. */
  readonly generation: Effect.Effect<number>
  /** The phase that the connection is in. */
  readonly phase: Effect.Effect<Phase>
  /** The phase that the connection is in, and each other one that it comes into. Ends when it is closed for good. */
  readonly phases: Stream.Stream<Phase>
  /**
   * The handshake of a session that was taken with `initialize: false`. Fails with `AlreadyInitialized` on any other, and
   * the second time.
   */
  readonly initialize: Effect.Effect<SessionInfo, SessionError>
  /** Lists all tools, over all pages: at most 100 pages and 10,000 tools. */
  readonly listTools: (options?: ListOptions) => Effect.Effect<ReadonlyArray<Tool>, SessionError>
  /** Calls a tool. A result with `isError` is a result. */
  readonly callTool: (
    tool: string,
    args?: Record<string, unknown>,
    options?: CallToolOptions
  ) => Effect.Effect<CallToolResult, SessionError>
  /** Lists all resources, over all pages. */
  readonly listResources: (options?: ListOptions) => Effect.Effect<ReadonlyArray<Resource>, SessionError>
  /** Lists all templates of resources, over all pages. */
  readonly listResourceTemplates: (
    options?: ListOptions
  ) => Effect.Effect<ReadonlyArray<ResourceTemplate>, SessionError>
  /** Reads a resource. */
  readonly readResource: (
    uri: string,
    options?: ProgressOptions
  ) => Effect.Effect<ReadResourceResult, SessionError>
  /** Lists all prompts, over all pages. */
  readonly listPrompts: (options?: ListOptions) => Effect.Effect<ReadonlyArray<Prompt>, SessionError>
  /** Expands a prompt. */
  readonly getPrompt: (
    prompt: string,
    args?: Record<string, string>,
    options?: ProgressOptions
  ) => Effect.Effect<GetPromptResult, SessionError>
  /** Asks what the beginning of an argument may be completed to. */
  readonly complete: (
    reference: CompletionReference,
    argument: { readonly name: string; readonly value: string },
    options?: CompleteOptions
  ) => Effect.Effect<Completion, SessionError>
  /**
   * What the server says of its own accord, on this connection and on those that replace it. Begins with `Listening`, once
   * the server tells of changes in its lists. Of what waits for a slow reader, the latest 256 are kept. Fails when there is
   * no connection any more and none can be made.
   */
  readonly notifications: Stream.Stream<Notification, SessionError>
  /**
   * Tells when a resource may have changed: at the beginning, whenever the server says so, and after each reconnect. Each
   * element is a reason to read it. The server is subscribed to for as long as anyone listens. Fails with `Unsupported` where
   * the server does not offer that.
   */
  readonly subscribe: (uri: string) => Stream.Stream<Listening | ResourceUpdated, SessionError>
  /**
   * The tools as they are, and again each time that the server says they have changed, and after each reconnect. However many
   * changes come while the list is being fetched, it is fetched once more.
   */
  readonly watchTools: Stream.Stream<ReadonlyArray<Tool>, SessionError>
  /** The same of resources. */
  readonly watchResources: Stream.Stream<ReadonlyArray<Resource>, SessionError>
  /** The same of templates of resources. */
  readonly watchResourceTemplates: Stream.Stream<ReadonlyArray<ResourceTemplate>, SessionError>
  /** The same of prompts. */
  readonly watchPrompts: Stream.Stream<ReadonlyArray<Prompt>, SessionError>
  /**
   * Asks for the log messages of a level and above, for all who share the connection, and on those that replace it. Fails with
   * `Unsupported` where the server does not log.
   */
  readonly setLogLevel: (level: LogLevel) => Effect.Effect<void, SessionError>
  /** Makes one round trip: `ping`, or `server/discover` in the modern era. An error in answer is an answer. */
  readonly ping: Effect.Effect<void, SessionError>
}
