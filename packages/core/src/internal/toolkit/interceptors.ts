/**
 * Interceptors: an onion around the call of a tool. The first interceptor is the outermost.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { CallToolResult, Tool } from "../../Mcp.ts"
import { NextRepeated, ToolError } from "../../ToolError.ts"
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
 * `next` may be run once, while the interceptor runs: so a call of a model is at most one call of the tool. Run again, it fails with
 * `NextRepeated` and sends nothing. Calls are retried by the retry policy of the sessions. Where an interceptor fails although the tool ran, or
 * may have run, the `delivery` of the error says so.
 *
 * @category models
 * @since 0.1.0
 */
export type Interceptor = (
  call: ToolCall,
  next: (args: Record<string, unknown>) => Effect.Effect<CallToolResult, ToolError>
) => Effect.Effect<CallToolResult, ToolError>

type Send = (args: Record<string, unknown>) => Effect.Effect<CallToolResult, ToolError>

/** The one call of a tool: whether the tool ran, or may have. */
class Sending {
  readonly #send: Send
  #writes: Writes | undefined
  #exit: Exit.Exit<CallToolResult, ToolError> | undefined

  constructor(send: Send) {
    this.#send = send
  }

  readonly run: Send = (args) =>
    Effect.flatMap(CurrentWrites, (parent) => {
      const writes = this.#writes = new Writes(parent)
      return this.#send(args).pipe(
        Effect.provideService(CurrentWrites, writes),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            this.#exit = exit
          })
        )
      )
    })

  /** How far the call got, if the tool may have run. */
  get ran(): "Answered" | "Unknown" | undefined {
    const exit = this.#exit
    if (exit !== undefined && Exit.isSuccess(exit)) return "Answered"
    const error = exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
    if (error === undefined) return this.#writes?.isWritten === true ? "Unknown" : undefined
    return error.delivery === "Answered" || error.delivery === "Unknown" ? error.delivery : undefined
  }
}

/** Runs one interceptor. Its `next` goes on once, and only while it runs. */
const around = ({ call, interceptor, next }: {
  readonly call: ToolCall
  readonly interceptor: Interceptor
  readonly next: Send
}): Effect.Effect<CallToolResult, ToolError> =>
  Effect.suspend(() => {
    let isSpent = false
    const once: Send = (args) =>
      Effect.suspend(() => {
        if (isSpent) return Effect.fail(new ToolError({ tool: call.name, reason: new NextRepeated() }))
        isSpent = true
        return next(args)
      })
    return Effect.ensuring(
      Effect.suspend(() => interceptor(call, once)),
      Effect.sync(() => {
        isSpent = true
      })
    )
  })

/** Runs the interceptors around `send`. */
export const intercepted = (
  { call, interceptors, send }: {
    readonly call: ToolCall
    readonly interceptors: ReadonlyArray<Interceptor>
    readonly send: Send
  }
): Effect.Effect<CallToolResult, ToolError> =>
  Effect.suspend(() => {
    const sending = new Sending(send)
    const outermost = interceptors.reduceRight<Send>(
      (next, interceptor) => (args) => around({ call: { ...call, args }, interceptor, next }),
      sending.run
    )
    // An interceptor that fails after the call must not say that the tool did not run.
    return Effect.mapError(outermost(call.args), (error) => {
      const { ran } = sending
      return ran === undefined || error.delivery === "Answered" || error.delivery === "Unknown"
        ? error
        : new ToolError({ tool: error.tool, reason: error.reason, ran })
    })
  })
