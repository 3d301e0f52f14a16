/**
 * A tool call in promises: without a fiber where it needs none, and validated where the caller gives a schema.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { CallToolResult } from "../../Mcp.ts"
import type { CallToolOptions } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import { BadOptions, type Checked, type Rules } from "../config/callOptions.ts"
import type { OnEnd, StartedCall } from "../request/inFlightRecord.ts"
import { effectOptions } from "./effectOptions.ts"
import type { SignalOptions } from "./promised.ts"
import type { Caller, PromiseRuntime } from "./promiseRuntime.ts"
import { schemaOf, validateWith } from "./standardResult.ts"

type CheckedCall = Checked<CallToolOptions & { readonly owner?: string | undefined }>

/** Rejects with every problem of options. */
export const rejected = ({ error }: BadOptions): Promise<never> => Effect.runPromise(Effect.fail(error))

/** Whether a call needs a fiber: to be interrupted, or to run effects. */
const needsFiber = (options: CheckedCall | undefined, signal: SignalOptions["signal"]): boolean =>
  options !== undefined && (signal !== undefined || options.onProgress !== undefined ||
    options.task !== undefined || options.retry !== undefined)

export const promiseCall = <R, E>(
  { run, runDirect }: PromiseRuntime<R, E>,
  { call, caller, options, rules, start, tool }: {
    readonly caller: Caller
    readonly rules: Rules
    readonly tool: string
    readonly options: SignalOptions | undefined
    readonly call: (checked: CheckedCall | undefined) => Effect.Effect<CallToolResult, E | SessionError, R>
    /** Starts the call without a fiber, or returns `undefined`. */
    readonly start: (
      checked: CheckedCall | undefined,
      context: Context.Context<R>,
      onEnd: OnEnd<CallToolResult, SessionError>
    ) => StartedCall | undefined
  }
): Promise<unknown> => {
  const { server } = caller
  const given = effectOptions<CheckedCall>({ rules, options, server }) as CheckedCall | BadOptions | undefined
  if (given instanceof BadOptions) return rejected(given)
  const schema = schemaOf(given)
  if (schema !== undefined) {
    const called = call({ ...given, schema: undefined })
    return run(validateWith({ called, schema, server, tool }), caller, options)
  }
  return needsFiber(given, options?.signal)
    ? run(call(given), caller, options)
    : runDirect((context, onEnd) => start(given, context, onEnd), () => call(given), caller)
}
