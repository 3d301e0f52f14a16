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
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ConnectionInfo } from "./Connection.ts"
import type { ConnectionSlot, Live } from "./internal/connectionSlot.ts"
import { paginate } from "./internal/paginate.ts"
import type { CallToolResult, GetPromptResult, Prompt, ReadResourceResult, Resource, Tool } from "./Mcp.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import {
  type LostReason,
  NotInitialized,
  OutcomeUnknown,
  type Reason,
  RequestTimeout,
  SessionError
} from "./SessionError.ts"

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
}

/**
 * Options of one request. `timeout` is how long to wait for the answer; default: `requestTimeout` of the server (60 s).
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  readonly timeout?: Duration.Input | undefined
}

/**
 * Options of one tool call. `idempotent: true` says that running the tool twice does no more than running it once, so
 * that the call may be sent again when its outcome is unknown; default: what the annotations say on a server marked
 * `trusted`, otherwise `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallToolOptions extends RequestOptions {
  readonly idempotent?: boolean | undefined
}

/**
 * A handle to one MCP server. Valid until the scope closes in which it was obtained.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  /** The name of the server definition. */
  readonly server: string
  /** What the handshake of the live connection told, which is made if there is none. */
  readonly info: Effect.Effect<SessionInfo, SessionError>
  /** The number of the latest connection, 0 before the first. */
  readonly generation: Effect.Effect<number>
  /**
   * The handshake of a session that was taken with `initialize: false`. Fails with `AlreadyInitialized` on any other, and
   * the second time.
   */
  readonly initialize: Effect.Effect<SessionInfo, SessionError>
  /** Lists all tools, over all pages: at most 100 pages and 10,000 tools. */
  readonly listTools: (options?: RequestOptions) => Effect.Effect<ReadonlyArray<Tool>, SessionError>
  /** Calls a tool. A result with `isError` is a result. */
  readonly callTool: (
    tool: string,
    args?: Record<string, unknown>,
    options?: CallToolOptions
  ) => Effect.Effect<CallToolResult, SessionError>
  /** Lists all resources, over all pages. */
  readonly listResources: (options?: RequestOptions) => Effect.Effect<ReadonlyArray<Resource>, SessionError>
  /** Reads a resource. */
  readonly readResource: (
    uri: string,
    options?: RequestOptions
  ) => Effect.Effect<ReadResourceResult, SessionError>
  /** Lists all prompts, over all pages. */
  readonly listPrompts: (options?: RequestOptions) => Effect.Effect<ReadonlyArray<Prompt>, SessionError>
  /** Expands a prompt. */
  readonly getPrompt: (
    prompt: string,
    args?: Record<string, string>,
    options?: RequestOptions
  ) => Effect.Effect<GetPromptResult, SessionError>
  /** Makes one round trip: `ping`, or `server/discover` in the modern era. An error in answer is an answer. */
  readonly ping: Effect.Effect<void, SessionError>
}

/** One request as the delivery rule sees it. */
interface Operation<A> {
  readonly method: string
  readonly tool: string | undefined
  /** Whether running it twice is harmless. Asked only after a failure. */
  readonly isSafe: () => boolean
  readonly timeout: Duration.Input | undefined
  readonly run: (live: Live) => Effect.Effect<A, Reason>
}

const read = (): boolean => true

/**
 * Makes the handle of a slot.
 *
 * @internal
 */
export const make = (options: { readonly slot: ConnectionSlot; readonly retry: RetryPolicy }): Session => {
  const { slot } = options
  const { name: server, config } = slot.definition
  const safeTools = new Set<string>()
  let latest = 0

  const fail = (reason: Reason) => new SessionError({ server, reason })

  /** One sending, on one connection. */
  const send = <A>(operation: Operation<A>, live: Live): Effect.Effect<A, SessionError> => {
    latest = live.generation
    if (live.info === undefined) return Effect.fail(fail(new NotInitialized()))
    const millis = Duration.toMillis(Duration.fromInputUnsafe(operation.timeout ?? config.requestTimeout))
    let isUnderWay = false
    return slot.deadlines.within({
      operation: Effect.suspend(() => {
        isUnderWay = true
        live.inFlight++
        return operation.run(live)
      }),
      millis,
      onTimeout: () => new RequestTimeout({ method: operation.method, timeout: millis, delivery: "Unknown" })
    }).pipe(
      Effect.matchEffect({
        onFailure: (reason) => {
          const error = fail(reason)
          const noted = slot.observe(error)
          return Effect.andThen(reason.losesConnection ? Effect.andThen(noted, slot.drop(live)) : noted, error)
        },
        onSuccess: (value) => Effect.as(slot.observe(undefined), value)
      }),
      Effect.onExit(() => isUnderWay ? slot.leave(live) : Effect.void)
    )
  }

  const isLost = (reason: Reason): reason is LostReason =>
    reason.delivery === "Unknown" && reason._tag !== "OutcomeUnknown"

  /** Turns the end of a sending that may have run into the error that says so. */
  const settle = <A>(operation: Operation<A>, sentAt: number) => (error: SessionError): SessionError =>
    isLost(error.reason) && !operation.isSafe()
      ? fail(new OutcomeUnknown({ method: operation.method, tool: operation.tool, sentAt, lost: error.reason }))
      : error

  const sendOnce = <A>(operation: Operation<A>, live: Live): Effect.Effect<A, SessionError> =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (sentAt) => Effect.mapError(send(operation, live), settle(operation, sentAt))
    )

  const mayResend = (error: SessionError): boolean =>
    error.reason._tag !== "OutcomeUnknown" && error.delivery !== "Answered"

  /** The connection was what failed, and sending again is safe: a new connection will do. */
  const isReplaceable = (error: SessionError): boolean => error.reason.losesConnection && mayResend(error)

  /**
   * The tries of an operation that did not get through at once. `first` is how the one before ended, which counts as the
   * first try; without it there was no connection yet.
   */
  const persist = <A>(operation: Operation<A>, first: SessionError | undefined): Effect.Effect<A, SessionError> => {
    let ended = first
    let replaced = false
    let sentAt: number | undefined
    // What succeeds here is final, and a failure to connect is final too: the slot has spent the policy on it already.
    const once: Effect.Effect<Effect.Effect<A, SessionError>, SessionError> = Effect.suspend(() => {
      const before = ended
      ended = undefined
      return before !== undefined ? Effect.fail(before) : Effect.matchEffect(slot.acquire, {
        onFailure: (error) => Effect.succeed(Effect.fail(error)),
        onSuccess: (live) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            sentAt = now
            return Effect.map(sendOnce(operation, live), Effect.succeed)
          })
      })
    }).pipe(
      Effect.catchIf((error) => !replaced && isReplaceable(error), () => {
        replaced = true
        return once
      })
    )
    return once.pipe(
      Effect.retry({ schedule: options.retry, while: mayResend }),
      Effect.flatten,
      Effect.timeoutOrElse({
        duration: config.totalTimeout,
        orElse: () => {
          const timeout = Duration.toMillis(config.totalTimeout)
          const delivery = sentAt === undefined ? "NotSent" : "Unknown"
          const error = fail(new RequestTimeout({ method: operation.method, timeout, delivery }))
          return Effect.fail(sentAt === undefined ? error : settle(operation, sentAt)(error))
        }
      })
    )
  }

  const perform = <A>(operation: Operation<A>): Effect.Effect<A, SessionError> =>
    Effect.suspend(() => {
      const live = slot.peek()
      if (live === undefined) return persist(operation, undefined)
      return Effect.catchIf(sendOnce(operation, live), mayResend, (error) => persist(operation, error))
    })

  const request = <A>(
    method: string,
    params: Record<string, unknown> | undefined,
    options: RequestOptions | undefined
  ) =>
    perform({
      method,
      tool: undefined,
      isSafe: read,
      timeout: options?.timeout,
      run: ({ connection }) => connection.request({ method, params }) as Effect.Effect<A, Reason>
    })

  const list = <A>(method: string, key: string, capability: "tools" | "resources" | "prompts") =>
  (
    options?: RequestOptions
  ): Effect.Effect<ReadonlyArray<A>, SessionError> =>
    perform({
      method,
      tool: undefined,
      isSafe: read,
      timeout: options?.timeout,
      run: ({ connection, info }) =>
        // A server without the capability has none of these, and need not be asked.
        info?.capabilities[capability] === undefined
          ? Effect.succeed([])
          : paginate<A>({ connection, method, key })
    })

  const listAllTools = list<Tool>("tools/list", "tools", "tools")

  const infoOf = (live: Live): Effect.Effect<SessionInfo, SessionError> => {
    latest = live.generation
    return live.info === undefined
      ? Effect.fail(fail(new NotInitialized()))
      : Effect.succeed({ ...live.info, server, generation: live.generation })
  }

  return {
    server,
    info: Effect.flatMap(slot.acquire, infoOf),
    generation: Effect.sync(() => latest = slot.peek()?.generation ?? latest),
    initialize: Effect.flatMap(slot.initialize, infoOf),
    listTools: (options) =>
      Effect.tap(listAllTools(options), (tools) =>
        Effect.sync(() => {
          if (!config.trusted) return
          safeTools.clear()
          for (const { annotations, name } of tools) {
            if (annotations?.readOnlyHint === true || annotations?.idempotentHint === true) safeTools.add(name)
          }
        })),
    callTool: (tool, args = {}, options) =>
      perform({
        method: "tools/call",
        tool,
        isSafe: () => options?.idempotent ?? safeTools.has(tool),
        timeout: options?.timeout,
        run: ({ connection }) =>
          connection.request({ method: "tools/call", params: { name: tool, arguments: args } }) as Effect.Effect<
            CallToolResult,
            Reason
          >
      }),
    listResources: list("resources/list", "resources", "resources"),
    readResource: (uri, options) => request("resources/read", { uri }, options),
    listPrompts: list("prompts/list", "prompts", "prompts"),
    getPrompt: (prompt, args, options) =>
      request("prompts/get", args === undefined ? { name: prompt } : { name: prompt, arguments: args }, options),
    ping: perform({
      method: "ping",
      tool: undefined,
      isSafe: read,
      timeout: undefined,
      run: ({ connection, info }) =>
        connection.request({ method: info?.era === "modern" ? "server/discover" : "ping", params: undefined }).pipe(
          Effect.asVoid,
          Effect.catchTag(["ProtocolFailed", "InvalidResult"], () => Effect.void)
        )
    })
  }
}
