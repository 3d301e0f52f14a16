/**
 * Tasks of revision 2026-07-28: the status of a task holds its questions, and in the end its result or error.
 *
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { InvalidResult, ProtocolFailed, type SessionError, TaskCancelled } from "../../SessionError.ts"
import type { TaskCall } from "./taskCall.ts"
import { TaskQuestions } from "./taskQuestions.ts"
import { intervalOf } from "./taskStatus.ts"

type Status = Readonly<Record<string, unknown>>

const invalid = (call: TaskCall, problem: string): Effect.Effect<never, SessionError> =>
  call.fail(new InvalidResult({ method: "tasks/get", description: `the task of ${call.tool} ${problem}` }))

/** The result of the tool. It may say that it is complete, as results do. */
const resultOf = (call: TaskCall, { result }: Status): Effect.Effect<unknown, SessionError> => {
  if (!Predicate.isObject(result)) return invalid(call, "has completed without a result")
  const { resultType = "complete", ...rest } = result as Record<string, unknown>
  return resultType === "complete"
    ? Effect.succeed(rest)
    : invalid(call, "has completed with a result that is not complete")
}

/** The JSON-RPC error with which the tool call ended. */
const errorOf = (call: TaskCall, { error }: Status): Effect.Effect<never, SessionError> => {
  const { code, data, message } = (Predicate.isObject(error) ? error : {}) as Record<string, unknown>
  return typeof code === "number" && Number.isFinite(code) && Predicate.isString(message)
    ? call.fail(new ProtocolFailed({ method: "tools/call", code, description: message, data, isOutcome: true }))
    : invalid(call, "has failed without an error")
}

/** Polls the task until it has ended, and answers its questions meanwhile. */
export const followModern = (call: TaskCall): Effect.Effect<unknown, SessionError> =>
  Effect.scoped(Effect.gen(function*() {
    const questions = new TaskQuestions(call)
    const polls = Effect.gen(function*() {
      // The response to the call has no result: of a task that has ended already, it is fetched at once.
      if (call.latest.status === "working") yield* Effect.sleep(intervalOf(call.latest))
      while (true) {
        const status = yield* call.poll
        switch (call.latest.status) {
          case "completed":
            return yield* resultOf(call, status)
          case "failed":
            return yield* errorOf(call, status)
          case "cancelled":
            return yield* call.fail(new TaskCancelled({ tool: call.tool }))
          case "input_required":
            yield* questions.take(status.inputRequests)
            break
          case "working":
            break
        }
        yield* Effect.sleep(intervalOf(call.latest))
      }
    })
    return yield* Effect.raceFirst(polls, questions.failed)
  }))
