/**
 * Relay: the calls and notifications of sessions as callbacks, without a fiber for each.
 *
 * **When to use**
 *
 * In a program that passes on what many clients and servers say to each other, such as a gateway. Elsewhere, the effects and streams of a session
 * are simpler and can do more.
 *
 * **Example** (Starting a call without a fiber)
 *
 * ```ts import.meta.vitest
 * import { Mcp, Relay, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("everything"))
 *   const [tool, args] = ["get-sum", { a: 2, b: 3 }] as const
 *   const result = yield* Effect.callback<Mcp.CallToolResult, Error>((resume) => {
 *     const cancel = Relay.callTool({
 *       session,
 *       tool,
 *       args,
 *       onSuccess: (result) => resume(Effect.succeed(result)),
 *       onFailure: resume
 *     })
 *     return cancel === undefined ? resume(session.callTool(tool, args)) : Effect.sync(cancel)
 *   })
 *   return Mcp.text(result)
 * }).pipe(Effect.scoped, Effect.provide(live))
 *
 * await Effect.runPromise(program) // => "The sum of 2 and 3 is 5."
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ClientSession } from "./internal/session/clientSession.ts"
import type { CallToolResult, Progress } from "./Mcp.ts"
import type { Notification } from "./Notification.ts"
import type { ProgressOptions, Session } from "./Session.ts"
import type { SessionError } from "./SessionError.ts"

/**
 * A tool call, and what receives its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolCall {
  /** The session to call the tool on. */
  readonly session: Session
  /** The name of the tool. */
  readonly tool: string
  /** The arguments, which must not be changed before the end. */
  readonly args: Record<string, unknown>
  /** As {@link ProgressOptions.meta}. */
  readonly meta?: ProgressOptions["meta"]
  /** Receives progress as it arrives. If set, the request asks for progress notifications. It must not throw. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Receives the JSON-RPC id of the request when it is sent, and that of each further attempt. It must not throw. */
  readonly onSent?: ((id: string | number) => void) | undefined
  /** Receives the result, perhaps before `callTool` returns. Not called after the cancellation. */
  readonly onSuccess: (result: CallToolResult) => void
  /**
   * Receives what follows if the first attempt fails: an effect that fails, or that makes the call again where that is safe. It has to be run.
   * Not called after the cancellation.
   */
  readonly onFailure: (outcome: Effect.Effect<CallToolResult, SessionError>) => void
}

/**
 * Starts a tool call without a fiber, under the same rules as `callTool` of the session. Returns its cancellation. Returns `undefined` if the
 * call needs a fiber, and then has done nothing: run `callTool` of the session instead.
 *
 * **Details**
 *
 * A call needs a fiber if the session has no connection, a limit is reached, the circuit is open, calls are traced, or the session is not one
 * of this package.
 *
 * **Gotchas**
 *
 * It belongs to no fiber: an operation around it, such as one of `withFallback`, does not know that the tool may have run, and its interruption
 * does not cancel the call.
 *
 * @category running
 * @since 0.1.0
 */
export const callTool = (call: ToolCall): (() => void) | undefined => {
  const { args, meta, onFailure, onProgress, onSent, onSuccess, session, tool } = call
  const flight = ClientSession.startCall({
    session,
    tool,
    args,
    options: { meta, onSent },
    onProgress,
    onEnd: (outcome) => {
      if (Exit.isExit(outcome) && Exit.isSuccess(outcome)) onSuccess(outcome.value as CallToolResult)
      else onFailure(outcome)
    }
  })
  return flight === undefined ? undefined : () => flight.drop()
}

/**
 * Calls a function with each notification of the server that arrives, for as long as the scope. A lost connection is made again, by the reconnect
 * policy. The function must not throw.
 *
 * **Gotchas**
 *
 * It asks for no notifications: a server of the modern era notifies only while a stream of the session asks it to. Notifications are not
 * buffered, and where some were missed is not marked.
 *
 * @category running
 * @since 0.1.0
 */
export const onNotification = ({ listener, session }: {
  readonly session: Session
  readonly listener: (notification: Notification) => void
}): Effect.Effect<void, never, Scope.Scope> => {
  const core = ClientSession.coreOf(session)
  if (core !== undefined) {
    const listening = Effect.acquireRelease(
      Effect.sync(() => core.hub.listen(listener)),
      (remove) => Effect.sync(remove)
    )
    return Effect.andThen(listening, core.managed.keepAlive)
  }
  const heard = Stream.runForEach(session.notifications, (notification) => Effect.sync(() => listener(notification)))
  return Effect.asVoid(Effect.forkScoped(Effect.ignore(heard), { startImmediately: true }))
}
