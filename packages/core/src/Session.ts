/**
 * Session: the operations of one MCP server. A session object stays valid when its connection is lost: it reconnects by itself.
 *
 * **Details**
 *
 * A call goes out on the live connection. If there is none, the call connects first. A failed request is sent again only if that cannot run
 * anything twice: it was not sent, it was rejected before it ran, it is a read, or it is known to be idempotent. Otherwise it fails with
 * `OutcomeUnknown`.
 *
 * **Gotchas**
 *
 * State that a server keeps for a session (subscriptions, a working directory, a transaction) ends with the connection. `generation` counts
 * connections: when it has changed, that state is gone.
 *
 * **Example** (One server, without a registry)
 *
 * ```ts import.meta.vitest
 * import { Session } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Session.make({ transport: "stdio", command: "mcp-server-everything", args: ["stdio"] })
 *   return yield* session.callTool("get-sum", { a: 2, b: 3 })
 * }).pipe(Effect.scoped, Effect.provide(Transports.layer))
 *
 * const { content } = await Effect.runPromise(program)
 * content // => [{ type: "text", text: "The sum of 2 and 3 is 5." }]
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ConfigError } from "./ConfigError.ts"
import type { ConnectionInfo } from "./Connection.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import { checkPolicies } from "./internal/config/checkOptions.ts"
import { nameOf } from "./internal/config/decodeServer.ts"
import { text } from "./internal/config/optionRules.ts"
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
import { decodeServers, type ServerConfigInput } from "./ServerConfig.ts"
import type { SessionError } from "./SessionError.ts"
import { make as makeSessions, type OwnerOptions, type Policies } from "./Sessions.ts"
import type { ToolMap, TypedSession } from "./ToolTypes.ts"
import type { Transports } from "./Transport.ts"

/**
 * The result of the handshake of a session's connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionInfo extends ConnectionInfo {
  /** The name of the server. */
  readonly server: string
  /** The number of the connection: 1 for the first, one more after each reconnect. */
  readonly generation: number
  /** Problems that do not keep the server from being used, such as a banner on the stdout of a stdio server. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Options of a request. Each server has a budget of 10 retries, and earns another with every 10 successes; when the budget is spent, failures
 * are final.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /**
   * How long to wait for the response of each attempt; default: `requestTimeout` of the server (60 s). All attempts together take at most its
   * `totalTimeout` (5 min).
   */
  readonly timeout?: Duration.Input | undefined
  /** When a failed attempt is repeated, where that is safe; default: the policy of the sessions. */
  readonly retry?: RetryPolicy | undefined
}

/**
 * Options of a list. A server of the modern era sends a time to live with each list. The list is cached for the owner until then, or until a
 * change notification arrives, which the server sends only while there is a subscriber or watcher. Lists of legacy servers are always fetched.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListOptions extends RequestOptions {
  /** Fetches the list even if it is cached. Default: `false`. */
  readonly refresh?: boolean | undefined
}

/**
 * Options of a request that may take long.
 *
 * **Example** (Showing the progress of a call)
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
  /**
   * Handles progress, one report at a time; the request ends after the last. If set, the request asks for progress notifications, which the server
   * may omit. Each report restarts `timeout`, up to the server's `totalTimeout`. Of the reports that wait for a slow handler, the latest 64 are
   * kept. A request that is sent again reports from the beginning. A failure of the handler is logged and changes nothing of the request; a
   * handler that does not end holds the result back until `totalTimeout`, and no longer.
   */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void> | void) | undefined
  /**
   * Receives the JSON-RPC id of the request when it is sent, and that of each further attempt. `Origin.call` of a question names it, so that a
   * handler can tell which request the server asks about. It must not throw.
   */
  readonly onSent?: ((id: string | number) => void) | undefined
  /**
   * What is sent as `_meta` of the request, beside the keys of the protocol. A trace context in it is sent in place of that of the span. Default:
   * nothing.
   */
  readonly meta?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Options of a completion.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompleteOptions extends RequestOptions {
  /** The values of other arguments. */
  readonly context?: Readonly<Record<string, string>> | undefined
  /** As {@link ProgressOptions.meta}. */
  readonly meta?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Options of a tool call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallToolOptions extends ProgressOptions {
  /**
   * Lets the call run as a task of the server: it outlives all timeouts, and the connection too where the server keeps its tasks. Interrupting the
   * call cancels the task. Once the server has made a task, a failure that does not say how the task ended is `OutcomeUnknown`.
   *
   * At a server of the modern era, the server decides: it answers with the result or with a task, and one that does not run tasks
   * (`Connection.offersTasks`) gets an ordinary call. Handlers answer what the task asks. At a server of the legacy era (2025-11-25), the call always
   * is a task, for tools whose `execution.taskSupport` allows it; a server that does not run tasks fails it with `Unsupported`.
   */
  readonly task?: {
    /**
     * How long a server of the legacy era keeps the task, in milliseconds. Servers of the modern era decide that themselves, and say it in the status.
     * Default: as the server decides.
     */
    readonly ttl?: number | undefined
    /**
     * Handles the status of the task: the first one, and each later one that differs in its state or message. Not called for a call that has not
     * become a task. A failure of the handler is logged; a handler that does not end holds the result back for the server's `totalTimeout`, and no
     * longer.
     */
    readonly onTask?: ((task: Task) => Effect.Effect<void> | void) | undefined
  } | undefined
  /**
   * Whether running the tool twice is harmless, so that the call is sent again when its outcome is unknown. Default: what the tool's
   * annotations say on a server marked `trusted`, otherwise `false`.
   */
  readonly idempotent?: boolean | undefined
  /** Only {@link TypedCallOptions} have a schema: it changes the type of the result. */
  readonly schema?: undefined
}

/**
 * Options of a tool call with a typed result.
 *
 * **Example** (Calling a tool with a typed result)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const Weather = Schema.Struct({ temperature: Schema.Finite, conditions: Schema.String })
 * const program = Effect.gen(function*() {
 *   const { callTool } = yield* Sessions.Sessions
 *   return yield* callTool("everything", "get-structured-content", { location: "New York" }, { schema: Weather })
 * })
 * const weather = await Effect.runPromise(Effect.provide(program, live))
 * weather // => { temperature: 33, conditions: "Cloudy" }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedCallOptions<A> extends Omit<CallToolOptions, "schema"> {
  /**
   * Decodes the structured content of the result, or the JSON of its text where it has none. A result that does not fit fails the call with
   * `InvalidResult`, a tool error with `ToolFailed`; both are `Answered`.
   */
  readonly schema: Schema.ConstraintDecoder<A>
}

/**
 * Lists all items of a kind. Only a call with options can fail with a `ConfigError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface List<A> {
  (): Effect.Effect<ReadonlyArray<A>, SessionError>
  (options?: ListOptions): Effect.Effect<ReadonlyArray<A>, SessionError | ConfigError>
}

/**
 * A session of one MCP server. Valid until the scope in which it was obtained closes; after that every operation fails with `SessionClosed`.
 *
 * A call whose options are not what they must be fails with a `ConfigError` that holds every problem of them, before anything is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  /** The name of the server. */
  readonly server: string
  /** Connects if there is no connection, and gives the result of the handshake. */
  readonly connect: Effect.Effect<SessionInfo, SessionError>
  /** The number of the latest connection; 0 before the first. */
  readonly generation: Effect.Effect<number>
  /** The state of the connection. */
  readonly state: Effect.Effect<ConnectionState>
  /** The state of the connection, and each later one. Ends after `Closed`. */
  readonly stateChanges: Stream.Stream<ConnectionState>
  /**
   * Lists all tools, over all pages: at most 100 pages and 10,000 tools. Leaves out malformed ones, as the other lists do, and says so in
   * the `warnings` of `connect`.
   */
  readonly listTools: List<Tool>
  /**
   * Calls a tool. A tool error (`isError: true`) is a result. The arguments are read when the request is sent, which may be later: do not change
   * them meanwhile.
   */
  readonly callTool: {
    (tool: string, args?: Record<string, unknown>): Effect.Effect<CallToolResult, SessionError>
    <A>(
      tool: string,
      args: Record<string, unknown> | undefined,
      options: TypedCallOptions<A>
    ): Effect.Effect<A, SessionError | ConfigError>
    (
      tool: string,
      args?: Record<string, unknown>,
      options?: CallToolOptions
    ): Effect.Effect<CallToolResult, SessionError | ConfigError>
  }
  /** Lists all resources, over all pages: at most 100 pages and 10,000 resources. */
  readonly listResources: List<Resource>
  /** Lists all resource templates, over all pages: at most 100 pages and 10,000 templates. */
  readonly listResourceTemplates: List<ResourceTemplate>
  /** Reads a resource. */
  readonly readResource: {
    (uri: string): Effect.Effect<ReadResourceResult, SessionError>
    (uri: string, options?: ProgressOptions): Effect.Effect<ReadResourceResult, SessionError | ConfigError>
  }
  /** Lists all prompts, over all pages: at most 100 pages and 10,000 prompts. */
  readonly listPrompts: List<Prompt>
  /** Expands a prompt. */
  readonly getPrompt: {
    (prompt: string, args?: Record<string, string>): Effect.Effect<GetPromptResult, SessionError>
    (
      prompt: string,
      args?: Record<string, string>,
      options?: ProgressOptions
    ): Effect.Effect<GetPromptResult, SessionError | ConfigError>
  }
  /** Suggests completions of a partial argument. */
  readonly complete: {
    (
      reference: CompletionReference,
      argument: { readonly name: string; readonly value: string }
    ): Effect.Effect<Completion, SessionError>
    (
      reference: CompletionReference,
      argument: { readonly name: string; readonly value: string },
      options?: CompleteOptions
    ): Effect.Effect<Completion, SessionError | ConfigError>
  }
  /**
   * The notifications of the server, on this connection and on those that replace it. Begins with `Listening`, once the server notifies of
   * changes of its lists, and emits it again after each gap. Of the notifications that wait for a slow reader, the latest 256 are kept, and
   * repeated changes of one list or resource count once; `Listening` stands where others were dropped, with their number. Fails when the
   * connection is lost and cannot be made again.
   */
  readonly notifications: Stream.Stream<Notification, SessionError>
  /**
   * Emits an element whenever a resource may have changed: first `Listening`, then each notification of the server, and `Listening` after each
   * reconnect. The server is subscribed for as long as there is a subscriber. Fails with `Unsupported` if the server does not offer
   * subscriptions.
   */
  readonly subscribe: (uri: string) => Stream.Stream<Listening | ResourceUpdated, SessionError>
  /**
   * The list of tools, and again after each change and each reconnect. Changes that arrive while the list is fetched cause one more fetch.
   */
  readonly watchTools: Stream.Stream<ReadonlyArray<Tool>, SessionError>
  /** The list of resources, and again after each change and each reconnect. */
  readonly watchResources: Stream.Stream<ReadonlyArray<Resource>, SessionError>
  /** The list of resource templates, and again after each change and each reconnect. */
  readonly watchResourceTemplates: Stream.Stream<ReadonlyArray<ResourceTemplate>, SessionError>
  /** The list of prompts, and again after each change and each reconnect. */
  readonly watchPrompts: Stream.Stream<ReadonlyArray<Prompt>, SessionError>
  /**
   * Sets the lowest level of log messages to receive, for all users of the connection and on those that replace it. Fails with `Unsupported` if
   * the server does not send log messages.
   */
  readonly setLogLevel: (level: LogLevel) => Effect.Effect<void, SessionError>
  /** Makes one round trip: `ping`, or `server/discover` in the modern era. An error response counts as success. */
  readonly ping: Effect.Effect<void, SessionError>
}

/**
 * Options of one session. `name` is the name of the server in errors, logs and spans; default: the name of the program in `command`, or the host of
 * `url`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions extends Policies, OwnerOptions {
  /**
   * The name of the server in errors, logs and spans. Default: the name of the program in `command`, or the host of
   * `url`.
   */
  readonly name?: string | undefined
}

/**
 * Makes a session of one definition, for as long as the scope, without a registry of named servers. Connects before it succeeds. Fails with
 * a `ConfigError` that holds all problems of the definition and the policies.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  definition: ServerConfigInput,
  options: MakeOptions = {}
): Effect.fn.Return<Session, ConfigError | SessionError, Scope.Scope | Transports> {
  yield* checkPolicies(options, { name: text, owner: text })
  const { allowCommand, name = nameOf(definition), owner } = options
  const definitions = yield* decodeServers({ servers: { [name]: definition }, allowCommand })
  const sessions = yield* makeSessions({ ...options, definitions })
  return yield* sessions.get(name, { owner })
})

/**
 * Types the tools of a session: `Session.typed<Tools>(session)`. Returns the session itself.
 *
 * @see {@link TypedSession}
 * @category combinators
 * @since 0.1.0
 */
export const typed = <Tools extends ToolMap<Tools>>(session: Session): TypedSession<Tools> =>
  // The compiler cannot compare the results: they are of the type that the output schemas check.
  session as unknown as TypedSession<Tools>
