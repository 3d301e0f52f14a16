/**
 * Port of a connection to one MCP server.
 *
 * A connection is one open channel. It never reconnects, retries or times out: the modules that use it do.
 *
 * **Example** (A server that is a function)
 *
 * ```ts import.meta.vitest
 * import { Connection, Mcp, Sessions, Transport } from "@mcp-sessions/core"
 * import { Effect, Layer } from "effect"
 *
 * const connect = Connection.fromRequest({
 *   kind: "memory",
 *   initialize: Effect.succeed({
 *     era: "legacy",
 *     protocolVersion: "2025-11-25",
 *     implementation: { name: "greeter", version: "1.0.0" },
 *     capabilities: { tools: {} },
 *     instructions: undefined,
 *     pid: undefined
 *   }),
 *   request: ({ params }) => Effect.succeed({ content: [{ type: "text", text: `hello, ${params?.arguments.name}` }] }),
 *   onNotification: () => {},
 *   listen: () => Effect.succeed({ resources: [], ended: Effect.never }),
 *   setLogLevel: () => Effect.void,
 *   closed: Effect.never,
 *   stderrTail: () => undefined,
 *   warnings: () => []
 * })
 * const transports = Layer.succeed(Transport.Transports, {
 *   transport: () => Layer.succeed(Transport.Transport, { connect })
 * })
 * const live = Sessions.layer({ servers: { greeter: { command: "greeter" } } }).pipe(Layer.provide(transports))
 *
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("greeter", "greet", { name: "Ada" }))
 * Mcp.text(await Effect.runPromise(Effect.provide(program, live))) // => "hello, Ada"
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Call } from "./ClientHandlers.ts"
import type { Implementation, Progress, ServerCapabilities } from "./Mcp.ts"
import type { LogLevel, WireNotification } from "./Notification.ts"
import type { TransportKind } from "./ServerConfig.ts"
import type { CloseReason, ConnectReason, RequestReason } from "./SessionError.ts"

/**
 * The two generations of the protocol: `legacy` (revisions 2024-11-05 to 2025-11-25: an `initialize` handshake) and
 * `modern` (2026-07-28: `server/discover`, no session).
 *
 * @category models
 * @since 0.1.0
 */
export type Era = "legacy" | "modern"

/**
 * The result of the handshake.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionInfo {
  /** The negotiated era of the protocol. */
  readonly era: Era
  /** The negotiated protocol revision, such as `2025-11-25`. */
  readonly protocolVersion: string
  /** The name that the server gives itself; modern servers may give none. */
  readonly implementation: Implementation | undefined
  /** The capabilities that the server declared. */
  readonly capabilities: ServerCapabilities
  /** How the server wants its tools to be used, as text for a language model. */
  readonly instructions: string | undefined
  /** The process of a stdio server, which is also the id of its process group. */
  readonly pid: number | undefined
}

/**
 * The changes to subscribe to at a server of the modern era: those of its lists, and of the resources with these URIs.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenFilter {
  /** Whether changes of the list of tools are reported. */
  readonly toolsListChanged?: boolean
  /** Whether changes of the list of prompts are reported. */
  readonly promptsListChanged?: boolean
  /** Whether changes of the list of resources are reported. */
  readonly resourcesListChanged?: boolean
  /** The URIs of the resources whose changes are reported. */
  readonly resourceSubscriptions?: ReadonlyArray<string>
}

/**
 * An active subscription to changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  /** The requested resources whose changes the server will report. */
  readonly resources: ReadonlyArray<string>
  /** Completes when notifications may have been missed. The connection may still be open. */
  readonly ended: Effect.Effect<void>
}

/**
 * A request in flight, shared by the caller and the connection. The caller makes one object for each request; the connection writes
 * `id` and `isWritten`, and calls `settle`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutgoingRequest {
  /** The JSON-RPC method, such as `tools/call`. */
  readonly method: string
  /** The JSON-RPC params. */
  readonly params: Record<string, unknown> | undefined
  /** Receives the progress of this request. If set, the request asks the server for progress notifications. */
  readonly onProgress: ((progress: Progress) => void) | undefined
  /** The JSON-RPC id. Set by the connection when it sends the request; `undefined` where the id is not known. */
  id: string | number | undefined
  /**
   * Whether a byte of the request may have left this process. Set by the connection before the first byte is written, and never
   * unset. A request that was written never ends as `NotSent`, whatever the reason of the failure says.
   */
  isWritten: boolean
  /** Receives the outcome. Called at most once, and never after `cancel`. */
  readonly settle: (outcome: Exit.Exit<unknown, RequestReason>) => void
}

/**
 * A connection to one MCP server. {@link fromRequest} makes one of effects.
 *
 * **Gotchas**
 *
 * It may be an instance of a class, which loses its members when it is spread. To wrap one, use {@link fromRequest}, or delegate each member.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** The kind of the transport that opened the connection. */
  readonly kind: TransportKind | "memory"
  /**
   * The handshake, run once. Succeeds after a round trip on this connection. Interrupting it leaves the connection unusable.
   */
  readonly initialize: Effect.Effect<ConnectionInfo, ConnectReason>
  /**
   * Sends a request without an effect. Calls `settle` once: with the result, or with the reason why there is none. May call it
   * before it returns. Progress is passed on before the result that came after it.
   */
  readonly send: (request: OutgoingRequest) => void
  /** Cancels a request: notifies the server in the way of the era, and never settles the request. Does nothing after `settle`. */
  readonly cancel: (request: OutgoingRequest) => void
  /** Sends a request and waits for its result. Interruption cancels it. */
  readonly request: (options: RequestOptions) => Effect.Effect<unknown, RequestReason>
  /**
   * Sets the listener of notifications. It receives them in order, and before the responses that came after them; progress
   * notifications go to their requests instead. There is one listener; it may be set before the handshake.
   */
  readonly onNotification: (listener: (notification: WireNotification) => void) => void
  /**
   * Subscribes to changes at a server of the modern era, for as long as the scope is open. Succeeds once the server has agreed.
   * Servers of the legacy era send list changes without a subscription: for them the filter is empty, and this succeeds once their
   * notifications can arrive.
   */
  readonly listen: (filter: ListenFilter) => Effect.Effect<Listening, RequestReason, Scope.Scope>
  /**
   * Sets the lowest level of log messages to receive. In the modern era no message is sent: each later request carries the level.
   */
  readonly setLogLevel: (level: LogLevel) => Effect.Effect<void, RequestReason>
  /**
   * Answers what a task of a server of the modern era asks, with the handlers of the client. Fails with `InvalidResult` if there is no handler
   * for a question or the question is malformed, and with `ProtocolFailed` if a handler refuses. Interruption ends the handlers. Absent where
   * the connection cannot ask handlers.
   */
  readonly answerInput?:
    | ((input: TaskInput) => Effect.Effect<Readonly<Record<string, unknown>>, RequestReason>)
    | undefined
  /** Completes with the reason when the channel is gone. Never completes while it is open. */
  readonly closed: Effect.Effect<CloseReason>
  /** Sets the listener that is called once when the channel is gone; at once if it is gone already. There is one listener. */
  readonly onClose: (listener: (reason: CloseReason) => void) => void
  /**
   * Why the server has refused the handshake so far, while another answer may still come. The failure of a connect whose time is up, in
   * place of `ConnectTimeout`.
   */
  readonly refusal?: (() => ConnectReason | undefined) | undefined
  /** How far the server came in a connect that is not over, as a clause; `undefined` if that is not known. */
  readonly pending?: (() => string | undefined) | undefined
  /** The latest lines that a stdio server wrote to stderr, secrets removed; `undefined` for other transports. */
  readonly stderrTail: () => string | undefined
  /** The id that an HTTP server of the legacy era gave the session; `undefined` without one. For telemetry. */
  readonly sessionId?: (() => string | undefined) | undefined
  /** Problems that do not keep the server from being used, one sentence each. Text of the server is quoted in them. */
  readonly warnings: () => ReadonlyArray<string>
}

/**
 * A request, as an effect sends it.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /** The JSON-RPC method, such as `tools/call`. */
  readonly method: string
  /** The JSON-RPC params. */
  readonly params: Record<string, unknown> | undefined
  /** Receives progress. If set, the request asks the server for progress notifications. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Receives the JSON-RPC id when the request is sent, where the id is known. */
  readonly onSent?: ((id: string | number) => void) | undefined
}

/**
 * What a task asks of the client, and the call that the task runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskInput {
  /** The questions by their keys: requests of the server with `method` and `params`, as the server sent them. */
  readonly inputRequests: Readonly<Record<string, unknown>>
  /** The call, as handlers learn of it; `undefined` if its JSON-RPC id is not known. */
  readonly call: Call | undefined
}

/**
 * The identifier of the extension by which servers of the modern era run tool calls as tasks. Clients declare it with each call that may become
 * one, under `extensions` of their capabilities.
 *
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 * @category constants
 * @since 0.1.0
 */
export const tasksExtension = "io.modelcontextprotocol/tasks"

/**
 * Whether a server runs tool calls as tasks: by its capability `tasks.requests.tools.call` in the legacy era, by the extension
 * `io.modelcontextprotocol/tasks` in the modern era.
 *
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 * @category guards
 * @since 0.1.0
 */
export const offersTasks = (
  { capabilities: { extensions, tasks }, era }: Pick<ConnectionInfo, "capabilities" | "era">
): boolean =>
  era === "modern"
    ? extensions?.[tasksExtension] !== undefined
    : tasks?.requests?.tools?.call !== undefined

/**
 * Makes a connection whose requests are effects: for transports in tests, and for wrappers of another connection. Each request runs in a
 * fiber of its own, in the context in which the connection was made. A request counts as written from its start, unless its effect fails
 * with `NotSent`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRequest = (
  parts: Omit<Connection, "cancel" | "onClose" | "send">
): Effect.Effect<Connection> =>
  Effect.map(Effect.context<never>(), (context) => {
    const fork = Effect.runForkWith(context)
    const fibers = new Map<OutgoingRequest, Fiber.Fiber<unknown, RequestReason>>()
    return {
      get kind() {
        return parts.kind
      },
      initialize: parts.initialize,
      request: parts.request,
      onNotification: parts.onNotification,
      listen: parts.listen,
      setLogLevel: parts.setLogLevel,
      answerInput: parts.answerInput,
      closed: parts.closed,
      stderrTail: parts.stderrTail,
      sessionId: parts.sessionId,
      warnings: parts.warnings,
      send: (request) => {
        const { method, onProgress, params } = request
        const onSent = (id: string | number) => {
          request.id = id
        }
        // An effect that is still running may have written the request.
        request.isWritten = true
        const fiber = fork(parts.request({ method, params, onProgress, onSent }))
        fibers.set(request, fiber)
        fiber.addObserver((outcome) => {
          if (!fibers.delete(request)) return
          const failure = Exit.findErrorOption(outcome)
          request.isWritten = failure._tag === "None" || failure.value.delivery !== "NotSent"
          request.settle(outcome)
        })
      },
      cancel: (request) => {
        const fiber = fibers.get(request)
        fibers.delete(request)
        fiber?.interruptUnsafe()
      },
      onClose: (listener) => {
        fork(parts.closed).addObserver((exit) => {
          if (Exit.isSuccess(exit)) listener(exit.value)
        })
      }
    }
  })
