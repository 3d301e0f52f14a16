/**
 * Interceptors: an onion around the call of a tool. The first interceptor is the outermost.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { CallToolResult, Tool } from "../../Mcp.ts"
import { Cancelled, SessionError } from "../../SessionError.ts"
import { CallFailed, ToolError } from "../../ToolError.ts"
import { CurrentWrites, Writes } from "../request/writes.ts"
import { canonicalOf } from "./fingerprint.ts"
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
 * `next` may be run again after a failure. After a call whose outcome is unknown, it fails with the same error and sends nothing. While a call
 * is in flight, it waits for its end; with the same arguments, it gives the outcome of that call.
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

/** Whether the server has responded to a call. */
const isAnswered = (exit: Exit.Exit<CallToolResult, ToolError>): boolean => {
  if (Exit.isSuccess(exit)) return true
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && error.value.delivery === "Answered"
}

/**
 * Sends one call at a time, and none after a call that may have run without a response, given up ones included. A call in flight may have run,
 * so a call with the same arguments that is made meanwhile is that call.
 */
const onceUnknown = (send: Send, { name, server }: ToolCall): Send => {
  let ended: ToolError | undefined
  let answered: { readonly args: object; readonly exit: Exit.Exit<CallToolResult, ToolError> } | undefined
  const sending = Semaphore.makeUnsafe(1)
  const givenUp = new SessionError({ server, reason: new Cancelled({ delivery: "Unknown" }) })

  const take = (args: object, exit: Exit.Exit<CallToolResult, ToolError>, writes: Writes) => {
    if (Exit.hasInterrupts(exit) && writes.isWritten) {
      ended = new ToolError({ tool: name, reason: new CallFailed({ error: givenUp }) })
    }
    const error = Exit.findErrorOption(exit)
    if (error._tag === "Some" && isUnknown(error.value)) ended = error.value
    if (isAnswered(exit)) answered = { args, exit }
  }

  const sendOne: Send = (args) =>
    Effect.flatMap(CurrentWrites, (parent) => {
      const writes = new Writes(parent)
      return send(args).pipe(
        Effect.provideService(CurrentWrites, writes),
        Effect.onExit((exit) => Effect.sync(() => take(args, exit, writes)))
      )
    })

  return (args) =>
    Effect.suspend(() => {
      const before = answered
      return sending.withPermit(Effect.suspend(() => {
        if (ended !== undefined) return Effect.fail(ended)
        return answered !== undefined && answered !== before && canonicalOf(answered.args) === canonicalOf(args)
          ? answered.exit
          : sendOne(args)
      }))
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
