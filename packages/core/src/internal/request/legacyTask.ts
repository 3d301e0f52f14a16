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
const resultOf = (call: TaskCall, isOpenEnded = false): Effect.Effect<unknown, SessionError> =>
  Effect.catch(call.request({ method: "tasks/result", asks: true, isOpenEnded, decode: Exit.succeed }), (error) => {
    const { reason } = error
    if (reason._tag !== "ProtocolFailed" || reason.delivery !== "Answered") return Effect.fail(error)
    const { code, data, description, method } = reason
    return call.fail(new ProtocolFailed({ method, code, description, data, isOutcome: true }))
  })

/** Polls the task until it has ended. A poll that was not sent says nothing about it. */
const ended = (call: TaskCall): Effect.Effect<void, SessionError> =>
  Effect.suspend(() => {
    if (call.isOver) return Effect.void
    const polled = Effect.catchIf(call.poll, ({ delivery }) => delivery === "NotSent", () => Effect.void)
    return Effect.sleep(intervalOf(call.latest)).pipe(Effect.andThen(polled), Effect.andThen(ended(call)))
  })

/**
 * Waits for the result of a task that needs input. The server asks for it while `tasks/result` is in flight, and gives the question up if that
 * request ends. So no timeout ends it: polls beside it show whether the server still works on the task. Succeeds with nothing if the task ended
 * otherwise, or if its result has not arrived one interval after its end.
 */
const askedResultOf = (call: TaskCall): Effect.Effect<Option.Option<unknown>, SessionError> =>
  Effect.raceFirst(
    Effect.asSome(resultOf(call, true)),
    ended(call).pipe(
      Effect.andThen(Effect.suspend(() => Effect.sleep(intervalOf(call.latest)))),
      Effect.as(Option.none())
    )
  )

/** Polls the task until its result is there. */
export const followLegacy: (call: TaskCall) => Effect.Effect<unknown, SessionError> = Effect.fnUntraced(
  function*(call: TaskCall) {
    while (true) {
      switch (call.latest.status) {
        case "cancelled":
          return yield* call.fail(new TaskCancelled({ tool: call.tool }))
        case "completed":
        case "failed":
          return yield* resultOf(call)
        case "input_required": {
          const result = yield* askedResultOf(call)
          if (Option.isSome(result)) return result.value
          break
        }
        case "working":
          yield* Effect.sleep(intervalOf(call.latest))
          yield* call.poll
      }
    }
  }
)
