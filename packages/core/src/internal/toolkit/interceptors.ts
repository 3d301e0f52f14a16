/**
 * Interceptors: an onion around the call of a tool. The first interceptor is the outermost.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CallToolResult, Tool } from "../../Mcp.ts"
import { Cancelled, SessionError } from "../../SessionError.ts"
import { CallFailed, ToolError } from "../../ToolError.ts"
import { CurrentWrites, Writes } from "../request/writes.ts"
import type { ToolPlace } from "./toolNames.ts"

/**
 * A call of a tool as the model made it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolCall extends ToolPlace {
  /** The name that the model used. */
  readonly name: string
  /** The accepted definition of the tool. */
  readonly definition: Tool
  /** The arguments that are about to be sent. */
  readonly args: Record<string, unknown>
  /** The id that the model gave to the call, where it is known. */
  readonly callId: string | undefined
}

/**
 * Runs around each call of a tool. `next` calls the tool with the given arguments, or goes to the next interceptor. An interceptor can
 * change the arguments and the result, deny the call by failing with `CallDenied`, measure it, or return a result without `next`.
 *
 * `next` may be run again after a failure. After a call whose outcome is unknown, it fails with the same error and sends nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Interceptor = (
  call: ToolCall,
  next: (args: Record<string, unknown>) => Effect.Effect<CallToolResult, ToolError>
) => Effect.Effect<CallToolResult, ToolError>

type Send = (args: Record<string, unknown>) => Effect.Effect<CallToolResult, ToolError>

const isUnknown = ({ reason }: ToolError): boolean =>
  reason._tag === "CallFailed" && reason.error._tag === "SessionError" &&
  (reason.error.reason._tag === "OutcomeUnknown" || (reason.error.reason._tag === "Cancelled" &&
    reason.error.delivery === "Unknown"))

/** Sends at most until a call may have run without a response, given up ones included. */
const onceUnknown = (send: Send, { name, server }: ToolCall): Send => {
  let ended: ToolError | undefined
  const givenUp = new SessionError({ server, reason: new Cancelled({ delivery: "Unknown" }) })
  return (args) =>
    Effect.suspend(() => {
      if (ended !== undefined) return Effect.fail(ended)
      return Effect.flatMap(CurrentWrites, (parent) => {
        const writes = new Writes(parent)
        return send(args).pipe(
          Effect.provideService(CurrentWrites, writes),
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.hasInterrupts(exit) && writes.isWritten) {
                ended = new ToolError({ tool: name, reason: new CallFailed({ error: givenUp }) })
              }
            })
          ),
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (isUnknown(error)) ended = error
            })
          )
        )
      })
    })
}

/** Runs the interceptors around `send`. */
export const intercepted = (
  { call, interceptors, send }: {
    readonly call: ToolCall
    readonly interceptors: ReadonlyArray<Interceptor>
    readonly send: Send
  }
): Effect.Effect<CallToolResult, ToolError> =>
  interceptors.reduceRight<Send>(
    (next, interceptor) => (args) => Effect.suspend(() => interceptor({ ...call, args }, next)),
    onceUnknown(send, call)
  )(call.args)
