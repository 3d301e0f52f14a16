/**
 * Tasks of revision 2025-11-25: `tasks/result` gives the result of a task that has ended.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { ProtocolFailed, type SessionError, TaskCancelled } from "../../SessionError.ts"
import type { TaskCall } from "./taskCall.ts"
import { intervalOf } from "./taskStatus.ts"

/** A JSON-RPC error that answers `tasks/result` is the outcome of the tool, unless the server does not know the method. */
const resultOf = (call: TaskCall): Effect.Effect<unknown, SessionError> =>
  Effect.catch(call.request({ method: "tasks/result", asks: true, decode: Exit.succeed }), (error) => {
    const { reason } = error
    if (reason._tag !== "ProtocolFailed" || reason.delivery !== "Answered") return Effect.fail(error)
    const { code, data, description, method } = reason
    return call.fail(new ProtocolFailed({ method, code, description, data, isOutcome: true }))
  })

/**
 * Polls the task until its result is there. If the task needs input, the server asks for it while `tasks/result` is in flight; where that takes
 * longer than a request may, it is sent again.
 */
export const followLegacy: (call: TaskCall) => Effect.Effect<unknown, SessionError> = Effect.fnUntraced(
  function*(call: TaskCall) {
    while (true) {
      const { status } = call.latest
      if (status === "cancelled") return yield* call.fail(new TaskCancelled({ tool: call.tool }))
      if (status !== "working") {
        const result = yield* resultOf(call).pipe(
          Effect.asSome,
          Effect.catchIf(
            ({ reason }) => status === "input_required" && reason._tag === "RequestTimeout",
            () => Effect.succeedNone
          )
        )
        if (Option.isSome(result)) return result.value
      }
      yield* Effect.sleep(intervalOf(call.latest))
      yield* call.poll
    }
  }
)
