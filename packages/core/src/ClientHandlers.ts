/**
 * Handlers of requests that a server sends to its client: sampling, elicitation and roots; and of its log messages.
 *
 * Each handler that is present is declared to servers as a capability. A request without a handler is refused. The handlers serve
 * both the requests of legacy servers and what modern ones ask in results and in tasks.
 *
 * **Details**
 *
 * A handler receives the {@link Origin} of a request: the owner and the server of the session, and the call on whose behalf the
 * server asks. With several calls in flight on one session, `call` tells their questions apart.
 *
 * A function in place of the handlers gives each owner and server handlers of its own. A server learns only the capabilities of the
 * handlers that its own owner has.
 *
 * **Gotchas**
 *
 * Handlers are taken from the context in which the `Sessions` layer is built, not from the context in which a session is used: a
 * connection is shared, and must not answer the call of one user with the handlers of another.
 *
 * **Example** (Answering a form)
 *
 * ```ts import.meta.vitest
 * import { ClientHandlers, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const handlers = Layer.succeed(ClientHandlers.ClientHandlers, ({ owner }) => ({
 *   elicitation: {
 *     form: ({ message }, { call, server }) =>
 *       Effect.logInfo(`${server} asks ${owner} because of ${call?.tool}: ${message}`).pipe(
 *         Effect.as({ action: "decline" })
 *       )
 *   }
 * }))
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Layer.merge(Transports.layer, handlers)))
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   return yield* sessions.callTool("everything", "echo", { message: "hi" })
 * })
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * result.content.length // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type {
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  ElicitResult,
  ElicitUrlParams,
  Root
} from "./Mcp.ts"
import type { LogLevel, LogMessage } from "./Notification.ts"

/**
 * Refusal of a handler to do what the server asks, for example because the user declined. The server receives `code`, `description`
 * (as the message of the JSON-RPC error) and `data` verbatim. Default code: -1, which the specification gives to a user's refusal.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/sampling#error-handling
 * @category errors
 * @since 0.1.0
 */
export class RequestRefused
  extends Schema.TaggedError<RequestRefused>("@mcp-sessions/core/RequestRefused")("RequestRefused", {
    description: Schema.String,
    code: Schema.optional(Schema.Int),
    data: Schema.optional(Schema.Unknown)
  })
{
  override get message(): string {
    return this.description
  }
}

/**
 * Identity of a session: the server, and the owner on whose behalf the session is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** The owner on whose behalf the session is used. */
  readonly owner: string
  /** The name of the server. */
  readonly server: string
}

/**
 * The client's request during which the server sent its own. `id` is its JSON-RPC id, which differs between all requests in flight on one
 * connection; `tool` is present for tool calls.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  /** The JSON-RPC id, which differs between all requests in flight on one connection. */
  readonly id: string | number
  /** The JSON-RPC method, such as `tools/call`. */
  readonly method: string
  /** The name of the tool. Present for tool calls. */
  readonly tool?: string | undefined
}

/**
 * Origin of a request that a server sends.
 *
 * `call` is known in the modern era, where the response to a call carries the questions, and on legacy HTTP, where a question
 * arrives on the response stream of the call. On stdio and WebSocket all legacy calls share one channel: there `call` is the only
 * call in flight that can have asked, and `undefined` while there are several.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin extends Peer {
  /** The call on whose behalf the server asks; `undefined` if several calls in flight may have caused the request. */
  readonly call: Call | undefined
  /** The key under which a server of the modern era asks. Absent in the legacy era. */
  readonly key?: string | undefined
}

/**
 * Capabilities of a client that concern requests of servers, with the names and values of the protocol.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#capability-negotiation
 * @category models
 * @since 0.1.0
 */
export interface DeclaredCapabilities {
  /** Sampling, and whether it may use tools and the context of servers. */
  readonly sampling?: { readonly tools?: Record<string, never>; readonly context?: Record<string, never> }
  /** The modes of elicitation. Without any, servers take it for forms. */
  readonly elicitation?: { readonly form?: Record<string, never>; readonly url?: Record<string, never> }
  /** Roots, and whether servers are notified when they change. */
  readonly roots?: { readonly listChanged?: true }
}

/**
 * Handlers of a client. Each handler that is present is declared to the server. At most 32 run at the same time for one connection: further
 * requests of a server are refused, and further questions in one result wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  /**
   * What is declared for the handlers that are present, in place of what they imply: for programs that pass requests on to clients of
   * their own. A capability without a handler is not declared. Default: what the handlers imply.
   */
  readonly capabilities?: DeclaredCapabilities | undefined
  /**
   * Whether a server of both eras is used in the legacy era, where its definition leaves that open: for programs that pass requests on to clients of
   * the legacy era, whom such a server may ask while a call runs. Default: `false`.
   */
  readonly prefersLegacy?: boolean | undefined
  /** Asks a language model for a message. */
  readonly sampling?:
    | ((params: CreateMessageParams, origin: Origin) => Effect.Effect<CreateMessageResult, RequestRefused>)
    | undefined
  /** Asks the user: by a form, or by sending the user to a URL. Defaults of the form's schema are filled in afterwards. */
  readonly elicitation?: {
    readonly form?:
      | ((params: ElicitFormParams, origin: Origin) => Effect.Effect<ElicitResult, RequestRefused>)
      | undefined
    readonly url?:
      | ((params: ElicitUrlParams, origin: Origin) => Effect.Effect<ElicitResult, RequestRefused>)
      | undefined
  } | undefined
  /** Lists the directories that a server may work in. */
  readonly roots?: ((origin: Origin) => Effect.Effect<ReadonlyArray<Root>, RequestRefused>) | undefined
  /** Notifies servers of the legacy era that the roots have changed, once for each element. Run once for each connection. */
  readonly rootsChanges?: Stream.Stream<unknown> | undefined
  /**
   * Receives the log messages of all servers: those of one session one after the other. Each connection asks its server for messages
   * of `level` and above. A slow handler loses old messages: the latest 256 are kept, and the number of the others is logged.
   */
  readonly logging?: {
    readonly level: LogLevel
    readonly handle: (message: LogMessage, peer: Peer) => Effect.Effect<void>
  } | undefined
  /**
   * Receives the lines that stdio servers write to stderr, secrets removed, from the start of the process on: those of one process in their order.
   * A line of more than 64 Ki characters arrives in pieces. It is called while output is read, so it should only take note of the line. A failure
   * of it is logged.
   */
  readonly stderr?: ((line: string, peer: Peer) => void) | undefined
}

/**
 * Reference to the handlers of a client: one set for all sessions, or a function that gives each owner and server its own.
 * Default: no handlers.
 *
 * @category references
 * @since 0.1.0
 */
export const ClientHandlers: Context.Reference<Handlers | ((peer: Peer) => Handlers)> = Context.Reference<
  Handlers | ((peer: Peer) => Handlers)
>(
  "@mcp-sessions/core/ClientHandlers",
  { defaultValue: () => ({}) }
)
